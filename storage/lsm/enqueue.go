package lsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// mailQueue is the committer's state of the mail queue. Only the committer's goroutine
// uses it.
type mailQueue struct {
	stamps *stamps
	// awake has the destinations that the scheduler has, or is about to get, each
	// with the bucket of the one W row that is kept for it.
	awake map[string]uint32
	// woken is the W key before which Awake has seen all.
	woken []byte
	// forgotten is where the next DeleteRange of the history begins.
	forgotten storage.MessageID
	// staged is what the open group does to entries, which is not in the rows yet.
	staged map[storage.EntryID]staged
	// owners is the same for R rows.
	owners  map[storage.MessageID]uint32
	changes []change // scratch of a plan
	key     []byte   // scratch
	value   []byte   // scratch
}

// staged is an entry after the changes in the open group.
type staged struct {
	at    standing
	entry *storage.QueueEntry // nil: it is gone
}

func newMailQueue(st *stamps) mailQueue {
	return mailQueue{
		stamps: st,
		awake:  make(map[string]uint32),
		staged: make(map[storage.EntryID]staged),
		owners: make(map[storage.MessageID]uint32),
	}
}

// maxStaged is from when on the maps of a group are made again rather than cleared.
const maxStaged = 4096

// applied is called when no group is open: everything is in the rows.
func (q *mailQueue) applied() {
	q.stamps.applied()
	if len(q.staged) > maxStaged || len(q.owners) > maxStaged {
		q.staged, q.owners = make(map[storage.EntryID]staged), make(map[storage.MessageID]uint32)
		return
	}
	clear(q.staged)
	clear(q.owners)
}

// enqueue adds the queue entries of a delivery.
func (c *committer) enqueue(g *group, dl *storage.Delivery, d *draft, body entry) {
	if len(dl.Relayed) == 0 {
		return
	}
	ahead, _ := c.mail.stamps.ahead()
	for i, r := range dl.Relayed {
		e := storage.QueueEntry{
			ID:         storage.EntryID{Message: d.id, Part: uint32(i)},
			Domain:     r.Domain,
			Envelope:   r.Envelope,
			Recipients: r.Recipients,
			Arrival:    dl.Arrival,
			Ahead:      ahead,
			Body: storage.BodyRef{
				Wire: body.wire, Size: body.size, CRC: body.crc, Chunks: body.chunks, Flags: body.flags,
			},
		}
		now := c.mail.stamps.next()
		at := standing{domain: r.Domain, due: max(c.mail.stamps.of(r.Due), now)}
		c.setEntry(g.batch, &e, &at)
		c.setPlace(g.batch, e.ID, &at)
		c.mail.key = appendSenderKey(c.mail.key[:0], e.Envelope.ReversePath, e.ID)
		_ = g.batch.Set(c.mail.key, nil, nil)
		g.queued.messages++
		g.queued.octets += e.Body.Size
		c.markDue(g, &at, now, false)
	}
}

func (c *committer) setEntry(b *pebble.Batch, e *storage.QueueEntry, at *standing) {
	c.mail.key = appendQueueKey(c.mail.key[:0], at.domain, at.due, e.ID)
	c.mail.value = appendQueueEntry(c.mail.value[:0], e)
	_ = b.Set(c.mail.key, c.mail.value, nil)
}

func (c *committer) setPlace(b *pebble.Batch, id storage.EntryID, at *standing) {
	c.mail.key = appendQueuedKey(c.mail.key[:0], id)
	c.mail.value = at.appendTo(c.mail.value[:0])
	_ = b.Set(c.mail.key, c.mail.value, nil)
}

// change is a change of one entry.
type change struct {
	id      storage.EntryID
	was, at standing
	old     *storage.QueueEntry // before the change: for the keys of its index rows
	new     *storage.QueueEntry // nil: it goes
	now     uint64              // the stamp of the change; 0: it does not make the entry due
	flush   bool                // an operator wants the destination looked at
	owners  uint32              // the body's, after an entry was removed; 0: the body goes
	counted bool                // the body has an R row
}

// place is where an entry is, the open group included; false: it is gone.
func (c *committer) place(id storage.EntryID) (standing, bool, error) {
	if s, ok := c.mail.staged[id]; ok {
		return s.at, s.entry != nil, nil
	}
	c.mail.key = appendQueuedKey(c.mail.key[:0], id)
	v, closer, err := c.s.db.Get(c.mail.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return standing{}, false, nil
	}
	if err != nil {
		return standing{}, false, readError(err)
	}
	defer closer.Close()
	at, err := parseStanding(v)
	return at, err == nil, err
}

// standingEntry is the entry at a place that c.place returned.
func (c *committer) standingEntry(id storage.EntryID, at *standing) (*storage.QueueEntry, error) {
	if s, ok := c.mail.staged[id]; ok {
		return s.entry, nil
	}
	return readEntry(c.s.db, id, at)
}

// plan notes a change that is to be written, so that the next one of the same
// group meets it. When a plan fails, its caller drops it, and the committer flushes once
// it is back from Pebble: after that everything is in the rows again, without the plan.
func (c *committer) plan(ch change) error {
	if ch.new == nil {
		ch.counted = ch.old.Body.Flags&entryShared != 0
		if ch.counted {
			n, err := c.ownersLeft(ch.id.Message)
			if err != nil {
				return err
			}
			ch.owners = n
		}
	}
	c.mail.staged[ch.id] = staged{ch.at, ch.new}
	c.mail.changes = append(c.mail.changes, ch)
	return nil
}

// ownersLeft is the owners that a shared body has when one more has gone.
func (c *committer) ownersLeft(id storage.MessageID) (uint32, error) {
	n, ok := c.mail.owners[id]
	if !ok {
		var err error
		if n, err = c.ownersOf(id); err != nil {
			return 0, err
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: message %s has more owners than were counted", storage.ErrCorrupt, id)
	}
	c.mail.owners[id] = n - 1
	return n - 1, nil
}

// carryOutPlan writes the changes that were planned.
func (c *committer) carryOutPlan(g *group) {
	for i := range c.mail.changes {
		ch := &c.mail.changes[i]
		if ch.new == nil {
			c.removeEntry(g, ch)
		} else {
			c.rewriteEntry(g, ch)
		}
	}
	c.dropPlan()
}

func (c *committer) dropPlan() {
	clear(c.mail.changes)
	c.mail.changes = c.mail.changes[:0]
}

func (c *committer) removeEntry(g *group, ch *change) {
	b := g.batch
	c.deleteKey(b, appendQueueKey(c.mail.key[:0], ch.was.domain, ch.was.due, ch.id))
	c.deleteKey(b, appendQueuedKey(c.mail.key[:0], ch.id))
	c.deleteKey(b, appendSenderKey(c.mail.key[:0], ch.old.Envelope.ReversePath, ch.id))
	if ch.old.Status != "" {
		c.deleteKey(b, appendStatusKey(c.mail.key[:0], ch.old.Status, ch.id))
	}
	g.queued.messages--
	g.queued.octets -= ch.old.Body.Size
	g.touch(ch.was.domain, touched)
	if ch.counted {
		setOwners(b, ch.id.Message, ch.owners)
	}
	if ch.owners == 0 {
		body := bodyOf(ch.old)
		deleteSizedBody(b, ch.id.Message, &body)
	}
}

func (c *committer) rewriteEntry(g *group, ch *change) {
	b := g.batch
	if ch.was.due != ch.at.due {
		c.deleteKey(b, appendQueueKey(c.mail.key[:0], ch.was.domain, ch.was.due, ch.id))
	}
	c.setEntry(b, ch.new, &ch.at)
	if ch.was != ch.at {
		c.setPlace(b, ch.id, &ch.at)
	}
	if ch.old.Status != ch.new.Status {
		if ch.old.Status != "" {
			c.deleteKey(b, appendStatusKey(c.mail.key[:0], ch.old.Status, ch.id))
		}
		if ch.new.Status != "" {
			c.mail.key = appendStatusKey(c.mail.key[:0], ch.new.Status, ch.id)
			_ = b.Set(c.mail.key, nil, nil)
		}
	}
	if ch.was.due == ch.at.due || ch.at.held() {
		g.touch(ch.at.domain, touched)
		return
	}
	c.markDue(g, &ch.at, ch.now, ch.flush)
}

func (c *committer) deleteKey(b *pebble.Batch, key []byte) {
	c.mail.key = key
	_ = b.Delete(key, nil)
}
