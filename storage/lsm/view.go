package lsm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// view is a snapshot of a maildrop.
type view struct {
	s        *Store
	snapshot *pebble.Snapshot
	it       *pebble.Iterator
	back     bool // from the newest to the oldest
	started  bool
	err      error
}

// View implements storage.Maildrops.
func (s *Store) View(account storage.AccountID) (storage.View, error) {
	v, err := s.view(account, storage.MaxMessageID, false)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Browse implements storage.Maildrops.
func (s *Store) Browse(account storage.AccountID, from storage.MessageID) (storage.View, error) {
	v, err := s.view(account, from, true)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// view opens the maildrop up to the message last.
func (s *Store) view(account storage.AccountID, last storage.MessageID, back bool) (_ *view, err error) {
	defer s.recoverRead(&err)
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if !s.dir.has(account) {
		return nil, fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	v := &view{s: s, snapshot: s.db.NewSnapshot(), back: back}
	if err := s.awaitDurable(); err != nil {
		v.Close()
		return nil, err
	}
	var k [accountKeyLen]byte
	prefix := putAccountKey(&k, tagMaildrop, account)
	end := after(prefix)
	if last != storage.MaxMessageID {
		var k [maildropKeyLen]byte
		end = slices.Clone(putMaildropKey(&k, account, last+1))
	}
	v.it, err = v.snapshot.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: end})
	if err != nil {
		v.Close()
		return nil, readError(err)
	}
	return v, nil
}

// Next implements storage.View.
func (v *view) Next() (ok bool) {
	defer v.s.recoverRead(&v.err)
	if v.err != nil {
		return false
	}
	first, next := v.it.First, v.it.Next
	if v.back {
		first, next = v.it.Last, v.it.Prev
	}
	if v.started {
		ok = next()
	} else {
		v.started, ok = true, first()
	}
	if !ok {
		v.err = readError(v.it.Error())
	}
	return ok
}

// Open implements storage.View.
func (v *view) Open() (_ storage.Message, err error) {
	defer v.s.recoverRead(&err)
	m := &message{s: v.s, rows: v.snapshot, id: idOfMaildropKey(v.it.Key())}
	val, err := v.it.ValueAndErr()
	if err != nil {
		return nil, readError(err)
	}
	if err := m.entry.parse(slices.Clone(val)); err != nil {
		return nil, err
	}
	return m, nil
}

// Err implements storage.View.
func (v *view) Err() error { return v.err }

// Close implements storage.View.
func (v *view) Close() {
	if v.it != nil {
		v.err = errors.Join(v.err, readError(v.it.Close()))
		v.it = nil
	}
	if v.snapshot != nil {
		_ = v.snapshot.Close()
		v.snapshot = nil
	}
}

// EachEntry implements storage.Maildrops.
func (s *Store) EachEntry(account storage.AccountID, f func(storage.Entry) bool) (err error) {
	v, err := s.view(account, storage.MaxMessageID, false)
	if err != nil {
		return err
	}
	defer v.Close()
	defer s.recoverRead(&err)
	for v.Next() {
		val, err := v.it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		var e entry
		if err := e.parse(val); err != nil {
			return err
		}
		if !f(e.public(idOfMaildropKey(v.it.Key()))) {
			return nil
		}
	}
	return v.Err()
}
