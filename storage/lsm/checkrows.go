package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// Check goes on after rows that can't be read. An iterator that has met a damaged block
// ends there, and does not say how far the block reaches. The next key that can be read
// is found by halving: an iterator that begins there has no error.

// scan calls f for each row under a tag.
func (c *check) scan(tag byte, f func(k, v []byte) error) error { return c.walk(tag, true, f) }

// keys calls f for each key under a tag, and reads no value.
func (c *check) keys(tag byte, f func(k []byte)) error {
	return c.walk(tag, false, func(k, _ []byte) error { f(k); return nil })
}

// walk calls f for each row under a tag, and reports what can't be read.
func (c *check) walk(tag byte, values bool, f func(k, v []byte) error) error {
	from, end := []byte{tag}, []byte{tag + 1}
	for from != nil {
		last := bytes.Clone(from)
		err := c.walkFrom(from, end, values, &last, f)
		if !errors.Is(err, storage.ErrCorrupt) {
			return err
		}
		c.damaged, c.lost[tag] = true, true
		if from = c.readable(last, end); from == nil {
			c.fault(0, 0, "%s after %s can't be read: %v", rowsOf(tag), describe(last), err)
			return nil
		}
		c.fault(0, 0, "%s between %s and %s can't be read: %v", rowsOf(tag), describe(last), describe(from), err)
	}
	return nil
}

// walkFrom walks to the end, or to the first row that can't be reached: last is the one
// before it. A row whose value can't be read is reported and passed over.
func (c *check) walkFrom(from, end []byte, values bool, last *[]byte, f func(k, v []byte) error) (err error) {
	defer c.s.recoverRead(&err)
	it, err := c.rows.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		*last = append((*last)[:0], it.Key()...)
		var v []byte
		if values {
			if v, err = c.valueOf(it); err != nil {
				c.damaged, c.lost[from[0]] = true, true
				c.fault(0, 0, "the row of %s can't be read: %v", describe(*last), err)
				continue
			}
		}
		if err := f(it.Key(), v); err != nil {
			return err
		}
	}
	return readError(it.Error())
}

func (c *check) valueOf(it *pebble.Iterator) (v []byte, err error) {
	defer c.s.recoverRead(&err)
	v, err = it.ValueAndErr()
	return v, readError(err)
}

// readable finds the first key after last from which the rows up to end can be reached;
// nil: none can.
func (c *check) readable(last, end []byte) []byte {
	width := len(last) + 8
	padded := func(k []byte) *big.Int {
		b := make([]byte, width)
		copy(b, k)
		return new(big.Int).SetBytes(b)
	}
	low, high, one := padded(last), padded(end), big.NewInt(1)
	top := padded(end)
	for {
		mid := new(big.Int).Add(low, high)
		if mid.Rsh(mid, 1); mid.Cmp(low) == 0 || c.ctx.Err() != nil {
			break
		}
		if c.reaches(mid.FillBytes(make([]byte, width)), end) {
			high = mid
		} else {
			low = mid
		}
	}
	if high.Cmp(new(big.Int).Sub(top, one)) >= 0 {
		return nil
	}
	return high.FillBytes(make([]byte, width))
}

// reaches reports whether an iterator can begin at from.
func (c *check) reaches(from, end []byte) (ok bool) {
	var err error
	defer func() { ok = ok && err == nil }()
	defer c.s.recoverRead(&err)
	it, err := c.rows.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return false
	}
	it.First()
	err = it.Error()
	return errors.Join(err, it.Close()) == nil
}

// rowsOf names the rows under a tag.
func rowsOf(tag byte) string {
	switch tag {
	case tagAddress:
		return "addresses and aliases"
	case tagAccount:
		return "accounts"
	case tagDomain:
		return "domains"
	case tagMaildrop:
		return "messages of maildrops"
	case tagKept:
		return "deleted messages"
	case tagRemoved:
		return "removed accounts"
	case tagQueue:
		return "entries of the queue"
	case tagBody:
		return "bodies of messages"
	}
	return fmt.Sprintf("rows of kind %q", tag)
}

// describe names what a key is of.
func describe(k []byte) string {
	switch {
	case len(k) <= 1:
		return "the first one"
	case (k[0] == tagMaildrop || k[0] == tagKept) && len(k) >= maildropKeyLen:
		return fmt.Sprintf("message %s of account %d", idOfMaildropKey(k), accountOfKey(k))
	case k[0] == tagBody && len(k) >= idKeyLen:
		return fmt.Sprintf("message %s", idOfKey(k))
	case (k[0] == tagAccount || k[0] == tagRemoved) && len(k) >= accountKeyLen:
		return fmt.Sprintf("account %d", accountOfKey(k))
	case k[0] == tagAddress, k[0] == tagDomain:
		domain, local, ok := bytes.Cut(k[1:], []byte{0})
		if ok {
			return fmt.Sprintf("%q", bytes.Trim(append(append(local, '@'), domain...), "\x00"))
		}
		return fmt.Sprintf("%q", bytes.Trim(domain, "\x00"))
	}
	return fmt.Sprintf("%q", bytes.TrimRight(k, "\x00"))
}
