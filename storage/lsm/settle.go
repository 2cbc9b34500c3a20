package lsm

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// Settle implements storage.Queue. It frees room more often than not, so that a
// full disk does not stop it.
func (s *Store) Settle(ss []storage.Settlement) error {
	if len(ss) == 0 {
		return nil
	}
	if err := checkSettlements(ss); err != nil {
		return err
	}
	c := &s.committer
	return s.do(&call{stage: func(*pebble.Batch) error {
		if err := c.planSettlements(ss, false); err != nil {
			return err
		}
		c.carryOutPlan(c.open())
		c.records(c.open().batch, ss)
		return nil
	}})
}

// checkSettlements finds what can be known before the committer's turn.
func checkSettlements(ss []storage.Settlement) error {
	for i := range ss {
		if ss[i].Entry == nil {
			return fmt.Errorf("%w: a settlement without an entry", storage.ErrInvalid)
		}
		if len(ss[i].Keep) == 0 {
			continue
		}
		if err := checkQueuedRecipients(ss[i].Keep, ss[i].Entry.Domain); err != nil {
			return err
		}
	}
	return nil
}

// planSettlements plans all settlements or none. whole: an entry that is gone
// makes it ErrFenced; otherwise it is skipped.
func (c *committer) planSettlements(ss []storage.Settlement, whole bool) error {
	for i := range ss {
		there, err := c.planSettlement(&ss[i])
		if err == nil && !there && whole {
			err = fmt.Errorf("%w: entry %s has left the queue", storage.ErrFenced, ss[i].Entry.ID)
		}
		if err != nil {
			c.dropPlan()
			return err
		}
	}
	return nil
}

// planSettlement plans the settlement of one entry. The due time that the entry was
// read with is the fence: each change gives it another one, and while it is held there is
// none. While it still is the same, the entry is as it was read, and
// its row need not be read again.
func (c *committer) planSettlement(st *storage.Settlement) (there bool, err error) {
	id := st.Entry.ID
	at, there, err := c.place(id)
	if err != nil || !there {
		return false, err
	}
	if at.held() || at.due != dueOf(st.Entry) || at.domain != st.Entry.Domain {
		return true, c.planMoved(st, at)
	}
	if len(st.Keep) == 0 {
		return true, c.plan(change{id: id, was: at, old: st.Entry})
	}
	e := *st.Entry
	e.Recipients, e.Warned, e.Attempts = st.Keep, st.Warned, st.Attempts
	e.LastAttempt, e.Status, e.Reason, e.Peer = st.LastAttempt, cut(st.Status, storage.MaxReason), st.Reason, st.Peer
	ch := change{id: id, was: at, old: st.Entry, new: &e, now: c.mail.stamps.next()}
	ch.at = standing{domain: at.domain, due: max(c.mail.stamps.of(st.Due), ch.now), warned: st.Warned}
	if ch.at.due == at.due {
		ch.at.due++ // the fence falls in any case
	}
	return true, c.plan(ch)
}

// planMoved settles an entry that an operator has moved since it was read: finished
// recipients go, the rest stays as it is.
func (c *committer) planMoved(st *storage.Settlement, at standing) error {
	id := st.Entry.ID
	old, err := c.standingEntry(id, &at)
	if err != nil {
		return err
	}
	e := *old
	e.Recipients = slices.DeleteFunc(slices.Clone(old.Recipients), func(r storage.QueuedRecipient) bool {
		return hasPath(st.Entry.Recipients, r.ForwardPath) && !hasPath(st.Keep, r.ForwardPath)
	})
	switch len(e.Recipients) {
	case len(old.Recipients):
		return nil
	case 0:
		return c.plan(change{id: id, was: at, old: old})
	}
	ch := change{id: id, was: at, at: at, old: old, new: &e}
	if !at.held() {
		// An attempt that read it after the move, and before this, must meet a fence.
		ch.now = c.mail.stamps.next()
		ch.at.due = max(at.due+1, ch.now)
	}
	return c.plan(ch)
}

func hasPath(rs []storage.QueuedRecipient, path string) bool {
	return slices.ContainsFunc(rs, func(r storage.QueuedRecipient) bool { return r.ForwardPath == path })
}

// records adds the lines for the history.
func (c *committer) records(b *pebble.Batch, ss []storage.Settlement) {
	for i := range ss {
		r := &ss[i].Record
		if r.Text == "" {
			continue
		}
		c.mail.key = appendHistoryKey(c.mail.key[:0], ss[i].Entry.ID, r.At)
		c.mail.value = append(c.mail.value[:0], cut(r.Text, maxRecord)...)
		_ = b.Set(c.mail.key, c.mail.value, nil)
	}
}

// maxRecord bounds the text of a record.
const maxRecord = 16 << 10
