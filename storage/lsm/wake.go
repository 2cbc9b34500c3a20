package lsm

import (
	"bytes"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// A destination that has an entry with a due time has a W row: a durable mark of
// when to look at it. What makes it cheap is that a destination that is awake
// keeps one row, the one that woke it, until it is put to sleep again; what comes
// in meanwhile writes none.

// maxAwake bounds the destinations that are remembered to be awake. Others write
// a W row for each entry, and are named by Awake once more than they need to be.
const maxAwake = 1 << 20

// wake is what a group did to a destination.
type wake byte

const (
	touched   wake = iota + 1 // its rows changed
	becameDue                 // an entry is due at once: the watcher is called
	flushed                   // likewise, and an operator asked for it
)

func (g *group) touch(domain string, w wake) {
	if g.touched == nil {
		g.touched = make(map[string]wake)
	}
	if g.touched[domain] < w {
		g.touched[domain] = w
	}
}

// markDue makes the scheduler look at an entry with a new place: the W row is in the
// same batch.
func (c *committer) markDue(g *group, at *standing, now uint64, flush bool) {
	w := touched
	switch {
	case at.due <= now && flush:
		w = flushed
	case at.due <= now:
		w = becameDue
	}
	g.touch(at.domain, w)
	if _, ok := c.mail.awake[at.domain]; ok {
		return
	}
	bucket := bucketOf(max(at.due, now))
	c.mail.key = appendWakeKey(c.mail.key[:0], bucket, at.domain)
	_ = g.batch.Set(c.mail.key, nil, nil)
	if w != touched && len(c.mail.awake) < maxAwake {
		c.mail.awake[at.domain] = bucket
	}
}

// Watch implements storage.Queue.
func (s *Store) Watch(f func(domain string, flush bool)) { s.watcher.Store(&f) }

// tellWatcher calls the watcher for what the group made due. The group is synced.
func (s *Store) tellWatcher(g *group) {
	f := s.watcher.Load()
	if f == nil || *f == nil {
		return
	}
	for domain, w := range g.touched {
		if w >= becameDue {
			(*f)(domain, w == flushed)
		}
	}
}

// awakeStep is how many W rows one step of Awake reads.
const awakeStep = 1000

// Awake implements storage.Queue.
func (s *Store) Awake(f func(domain string)) error {
	for more := true; more; {
		var domains []string
		err := s.do(&call{alone: true, stage: func(b *pebble.Batch) (err error) {
			domains, more, err = s.committer.wakeUp(b)
			return err
		}})
		if err != nil {
			return err
		}
		for _, d := range domains {
			f(d)
		}
	}
	return nil
}

// wakeUp reads the next W rows with an ended bucket. The first row of a destination is
// kept while it is awake; a second one is deleted.
func (c *committer) wakeUp(b *pebble.Batch) (domains []string, more bool, err error) {
	end := appendWakeKey(nil, bucketOf(c.mail.stamps.read()), "")
	from := c.mail.woken
	if len(from) == 0 {
		from = []byte{tagWake}
	}
	if bytes.Compare(from, end) >= 0 {
		return nil, false, nil
	}
	rows := 0
	next := end
	err = scanRange(c.s.db, from, end, func(k, _ []byte) (bool, error) {
		if rows++; rows > awakeStep {
			next = bytes.Clone(k)
			more = true
			return false, nil
		}
		bucket, name := parseWakeKey(k)
		domain := string(name)
		kept, ok := c.mail.awake[domain]
		switch {
		case ok && kept != bucket:
			return true, b.Delete(k, nil)
		case !ok && len(c.mail.awake) < maxAwake:
			c.mail.awake[domain] = bucket
		}
		domains = append(domains, domain)
		return true, nil
	})
	if err == nil {
		c.mail.woken = next
	}
	return domains, more, err
}

// sleeper is a destination that is given back.
type sleeper struct {
	domain    string
	after     storage.Cursor
	notBefore time.Time
}

// Sleep implements storage.Queue.
func (s *Store) Sleep(domain string, after storage.Cursor, notBefore time.Time) {
	s.queue.put(op{sleep: &sleeper{domain, after, notBefore}})
}

// sleep moves the mark of a destination to its next entry. It need not be synced:
// if it is lost, the mark that woke the destination is still there.
func (c *committer) sleep(sl *sleeper) {
	if c.s.refusal() != nil {
		return
	}
	if c.group != nil && c.group.touched[sl.domain] != 0 {
		c.flush() // so that everything is in the rows
	}
	due, ok, err := c.firstDue(sl)
	if err != nil {
		if c.s.refusal() != nil {
			return
		}
		due, ok = 0, true // the scheduler has to look again
	}
	g := c.open()
	g.unwaited++
	kept, awake := c.mail.awake[sl.domain]
	delete(c.mail.awake, sl.domain)
	if ok {
		bucket := bucketOf(max(due, c.mail.stamps.of(sl.notBefore), c.mail.stamps.read()))
		awake = awake && bucket != kept
		c.mail.key = appendWakeKey(c.mail.key[:0], bucket, sl.domain)
		_ = g.batch.Set(c.mail.key, nil, nil)
	}
	if awake {
		c.deleteKey(g.batch, appendWakeKey(c.mail.key[:0], kept, sl.domain))
	}
	if g.full() {
		c.flush()
	}
}

// firstDue is when the first entry of a destination after the cursor is due; false:
// there is none, or all are held.
func (c *committer) firstDue(sl *sleeper) (due uint64, ok bool, err error) {
	if !c.guard.enter() {
		return 0, false, storage.ErrFailed
	}
	defer c.guard.leave()
	defer c.s.recoverRead(&err)
	from := appendCursorKey(nil, sl.domain, sl.after)
	end := appendQueueKey(nil, sl.domain, heldDue, storage.EntryID{})
	if bytes.Compare(from, end) >= 0 {
		return 0, false, nil
	}
	err = scanKeys(c.s.db, from, end, func(k []byte) bool {
		_, due, _, ok = parseQueueKey(k)
		return false
	})
	return due, ok, err
}
