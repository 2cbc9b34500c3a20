package lsm

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// The passes of Check over the mail queue. Each Q row has its E, its F and, when a
// status is known, its G row; since there are as many rows of each kind, there is
// none without a Q row.

// marks notes the destinations that will be looked at.
func (c *check) marks() error {
	c.marked = make(map[string]struct{})
	return c.keys(tagWake, func(k []byte) {
		if len(k) > wakeHeadLen {
			_, domain := parseWakeKey(k)
			c.marked[string(domain)] = struct{}{}
		}
	})
}

// queue reads every entry of the queue, and its body.
func (c *check) queue() error {
	missed := "" // the last destination that was found without a mark
	return c.scan(tagQueue, func(k, v []byte) error {
		c.sum.Queued++
		c.queued.messages++
		e, err := entryOfRow(k, v)
		if err != nil {
			c.fault(0, 0, "an entry of the queue can't be read, and no attempt will be made for it: %v", err)
			return nil
		}
		id := e.ID.Message
		c.last = max(c.last, id)
		c.queued.octets += e.Body.Size
		c.owns(0, id, bodyOf(e))
		if _, ok := c.marked[e.Domain]; !ok && !c.lost[tagWake] && !e.Held && missed != e.Domain {
			missed = e.Domain
			c.fault(0, id, "destination %s has mail and no time to look at it: the mail will not be sent", e.Domain)
		}
		return c.placeOf(e)
	})
}

// placeOf checks the rows that lead to an entry.
func (c *check) placeOf(e *storage.QueueEntry) error {
	at, err := readPlace(c.rows, e.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrCorrupt):
		c.fault(0, e.ID.Message, "entry %s can't be found by its id, and will never be settled: %v", e.ID, err)
	case err != nil:
		return err
	case at != standing{e.Domain, dueOf(e), e.Warned}:
		c.fault(0, e.ID.Message, "entry %s is in the queue of %s under %d, but its id leads to the queue of %s under %d", e.ID, e.Domain, dueOf(e), at.domain, at.due)
	default:
		c.inPlace++
	}
	if err := c.wants(appendSenderKey(nil, e.Envelope.ReversePath, e.ID), e.ID); err != nil || e.Status == "" {
		return err
	}
	c.statuses++
	return c.wants(appendStatusKey(nil, e.Status, e.ID), e.ID)
}

// wants checks that an index row of an entry is there.
func (c *check) wants(key []byte, id storage.EntryID) error {
	_, closer, err := c.rows.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		c.fault(0, id.Message, "entry %s lacks the row %q: a listing will not show it", id, key)
		return nil
	}
	if err != nil {
		return readError(err)
	}
	return closer.Close()
}

// places looks for E rows that lead nowhere.
func (c *check) places() error {
	if c.lost[tagQueue] || c.lost[tagQueued] {
		return nil
	}
	rows := int64(0)
	if err := c.keys(tagQueued, func([]byte) { rows++ }); err != nil || rows == c.inPlace {
		return err
	}
	return c.scan(tagQueued, func(k, v []byte) error {
		id, _ := entryIDOf(k)
		at, err := parseStanding(v)
		if err == nil {
			_, err = readEntry(c.rows, id, &at)
		}
		if err != nil {
			c.fault(0, id.Message, "the id of entry %s leads to no entry: %v", id, err)
		}
		return nil
	})
}

// indexes counts the index rows: each entry has its own, and there are no more.
func (c *check) indexes() error {
	if c.lost[tagQueue] {
		return nil
	}
	for _, index := range []struct {
		tag  byte
		name string
		want int64
	}{{tagSender, "reverse-path", c.queued.messages}, {tagStatus, "status", c.statuses}} {
		n := int64(0)
		if err := c.keys(index.tag, func([]byte) { n++ }); err != nil {
			return err
		}
		if n != index.want {
			c.fault(0, 0, "the queue's index by %s has %d rows for %d entries", index.name, n, index.want)
		}
	}
	return nil
}

// queueTotal compares the N row with what the queue holds.
func (c *check) queueTotal() error {
	if c.lost[tagQueue] {
		return nil
	}
	var n counter
	err := c.scan(keyQueueTotal[0], func(_, v []byte) (err error) {
		n, err = parseCounter(v)
		return err
	})
	if err == nil && n != c.queued {
		c.fault(0, 0, "the queue's counter says %d entries of %d octets; there are %d of %d", n.messages, n.octets, c.queued.messages, c.queued.octets)
	}
	return err
}
