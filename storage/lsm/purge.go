package lsm

import (
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// purgeStep is how many messages one step of Purge, Expire and Undelete changes: the
// committer has it for some milliseconds, and deliveries wait that long.
const purgeStep = 256

// clearStep is how many messages one step of the removal of an account deletes.
const clearStep = 1000

// noteEvery is how often, in microseconds, Purge writes down the time of what ages, so that
// a start knows it.
const noteEvery = 3600 * 1_000_000

// purging is the state of Purge. Purge works in one goroutine at a time.
type purging struct {
	from   []byte    // T rows below it are gone
	doomed *clearing // the removed account that is being deleted; nil: none is
	noted  uint64    // the time that was written down last

	earlyAt     uint64 // when earlyOctets was 0
	earlyOctets int64  // what went before its time since then
}

// While the disk is below its floor deleted mail goes before its time, the oldest first:
// it makes room, and mail that comes is worth more than mail that was deleted. The space is
// free only after compactions, so no more than earlyOctets go in earlyEvery microseconds.
const (
	earlyOctets = 64 << 20
	earlyEvery  = 10 * 1_000_000
)

// early reports whether deleted mail may go before its time.
func (s *Store) early(now uint64) bool {
	if !s.space.full.Load() {
		return false
	}
	p := &s.purging
	if now-p.earlyAt >= earlyEvery {
		p.earlyAt, p.earlyOctets = now, 0
	}
	return p.earlyOctets < earlyOctets
}

// Purge implements storage.Keeper.
func (s *Store) Purge() (p storage.Purged, err error) {
	s.purgeLock.Lock()
	defer s.purgeLock.Unlock()
	if err := s.noteTime(); err != nil {
		return p, err
	}
	if p.Early, err = s.purgeMail(&p); err != nil {
		return p, err
	}
	if s.purging.doomed == nil {
		if id := s.overTime(); id != 0 {
			a, err := s.doom(id)
			if errors.Is(err, storage.ErrNotFound) {
				return p, nil // it was restored meanwhile
			}
			if err != nil {
				return p, err
			}
			p.Accounts = append(p.Accounts, a)
			s.purging.doomed = &clearing{account: id}
		}
	}
	if s.purging.doomed == nil {
		return p, nil
	}
	p.More = true
	last, err := s.clearStep(s.purging.doomed, purgeStep, s.doAlone)
	if errors.Is(err, storage.ErrCorrupt) {
		s.leaveUncleared(s.purging.doomed.account, err)
		last, err = true, nil
	}
	if err == nil && last {
		s.purging.doomed = nil
	}
	return p, err
}

// noteTime has the bound of the stamps moved now and then while something ages.
func (s *Store) noteTime() error {
	now := s.stamps.read()
	if now-s.purging.noted < noteEvery || !s.ages() {
		return nil
	}
	err := s.do(&call{alone: true, stage: func(*pebble.Batch) error { s.stamps.next(); return nil }})
	if err == nil {
		s.purging.noted = now
	}
	return err
}

// overTime finds a removed account whose time is over; 0: there is none.
func (s *Store) overTime() storage.AccountID {
	end := timeSince(s.stamps.horizon(), time.Duration(s.retention.removed.Load()))
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	for id, at := range s.dir.removed {
		if at <= end {
			return id
		}
	}
	return 0
}

// purgeMail deletes a step of the deleted messages whose time is over. early: their time
// was not looked at.
func (s *Store) purgeMail(p *storage.Purged) (early bool, err error) {
	defer s.recoverRead(&err)
	if s.kept.messages.Load() == 0 {
		return false, nil
	}
	now, stay := s.stamps.horizon(), time.Duration(s.retention.deleted.Load())
	if early = s.early(now); early {
		stay = 0
	}
	from := s.purging.from
	if from == nil {
		from = []byte{tagDeleted}
	}
	var k [deletedKeyLen]byte
	end := putDeletedKey(&k, timeSince(now, stay)+1, 0, 0)
	var keys [][]byte
	err = scanKeys(s.db, from, end, func(k []byte) bool {
		keys = append(keys, slices.Clone(k))
		return len(keys) < purgeStep
	})
	if err != nil || len(keys) == 0 {
		return false, err
	}
	upTo := append(slices.Clone(keys[len(keys)-1]), 0)
	err = s.do(&call{alone: true, stage: func(b *pebble.Batch) error {
		n, err := s.committer.purgeRows(b, keys)
		if err != nil {
			return err
		}
		p.Mail = quotaOf(n)
		return b.DeleteRange(from, upTo, nil)
	}})
	if err != nil {
		p.Mail = storage.Quota{}
		return false, err
	}
	s.purging.from = upTo
	if early {
		s.purging.earlyOctets += p.Mail.Octets
	}
	p.More = len(keys) == purgeStep
	return early, nil
}

// purgeRows adds the deletion of the messages that T rows lead to, without the T rows. A row
// of a message that was undeleted since it was read is not there any more.
func (c *committer) purgeRows(b *pebble.Batch, keys [][]byte) (gone counter, err error) {
	owners := make(map[storage.MessageID]uint32)
	for _, k := range keys {
		at, account, id, err := deletedKeyOf(k)
		if err != nil {
			return gone, err
		}
		is, e, err := c.kept(account, id)
		if err == nil && is == at {
			err = c.disown(b, id, &e, owners)
		}
		if err != nil && !errors.Is(err, pebble.ErrNotFound) && !unreadable(err) {
			return gone, readError(err)
		}
		if err != nil || is != at {
			continue // what can't be read stays, and Check reports it
		}
		var k [keptKeyLen]byte
		_ = b.Delete(putKeptKey(&k, account, id), nil)
		gone = gone.plus(counter{1, e.octets()})
	}
	c.countKept(b, counter{-gone.messages, -gone.octets})
	return gone, nil
}

// disown takes an owner from a body, and deletes the body with the last one. owners has what
// the batch makes of the owners of shared bodies, if it may meet one twice.
func (c *committer) disown(b *pebble.Batch, id storage.MessageID, e *entry, owners map[storage.MessageID]uint32) error {
	left := uint32(0)
	if e.shared() {
		n, known := owners[id]
		if !known {
			var err error
			if n, err = c.ownersOf(id); err != nil {
				return err
			}
		}
		if left = max(n, 1) - 1; owners != nil {
			owners[id] = left
		}
		setOwners(b, id, left)
	}
	if left == 0 {
		deleteSizedBody(b, id, e)
	}
	return nil
}

// doAlone carries a step out through the committer.
func (s *Store) doAlone(c *call) error {
	c.alone = true
	return s.do(c)
}

// clearing is the deletion of all mail of a doomed account. What was passed over stays, so each
// step begins after the one before.
type clearing struct {
	account    storage.AccountID
	live, kept storage.MessageID // the messages below are gone, or can't be read
	unread     unread
}

// unread counts the messages whose rows are damaged, so that their bodies can't be deleted.
type unread struct {
	messages int
	err      error // the last one
}

// passOver reports whether an error of a read means that a message is passed over. nil passes
// over none: then all is deleted or nothing.
func (u *unread) passOver(err error) bool {
	if u == nil || !unreadable(err) {
		return false
	}
	u.messages, u.err = u.messages+1, err
	return true
}

// leaveUncleared warns that the mail of a deleted account can't be read, and stays: the Z row
// has the next start try again.
func (s *Store) leaveUncleared(account storage.AccountID, err error) {
	s.opts.Log.Warn("the mail of an account that was deleted can't be read, and takes room; "+advice, "account", account, "err", plainText(err))
}

// clearAll deletes all mail of a doomed account.
func (s *Store) clearAll(id storage.AccountID) error { return s.clearMaildrop(id, s.doAlone) }

// clearMaildrop deletes all mail of a doomed account, its counter and its Z row.
// carry carries a step out: through the committer, or directly at start.
func (s *Store) clearMaildrop(id storage.AccountID, carry func(*call) error) error {
	g := clearing{account: id}
	for {
		if last, err := s.clearStep(&g, clearStep, carry); err != nil || last {
			return err
		}
	}
}

// clearStep is a step of clearMaildrop: messages of the maildrop, then deleted ones. The
// last one takes the rest. Messages with damaged rows stay, and Check reports them.
func (s *Store) clearStep(g *clearing, limit int, carry func(*call) error) (last bool, err error) {
	live, err := s.messagesFrom(tagMaildrop, g.account, g.live, limit)
	if err != nil {
		return false, err
	}
	kept, err := s.messagesFrom(tagKept, g.account, g.kept, limit-len(live))
	if err != nil {
		return false, err
	}
	last = len(live)+len(kept) < limit
	was := g.unread
	err = carry(&call{stage: func(b *pebble.Batch) error {
		if _, err := s.committer.expunge(b, g.account, live, &g.unread); err != nil {
			return err
		}
		if err := s.committer.purgeAll(b, g.account, kept, &g.unread); err != nil || !last {
			return err
		}
		var k [accountKeyLen]byte
		for _, tag := range [...]byte{tagCount, tagSince, tagDoomed} {
			_ = b.Delete(putAccountKey(&k, tag, g.account), nil)
		}
		return nil
	}})
	if err != nil {
		g.unread = was
		return false, err
	}
	if len(live) > 0 {
		g.live = live[len(live)-1] + 1
	}
	if len(kept) > 0 {
		g.kept = kept[len(kept)-1] + 1
	}
	if last && g.unread.messages > 0 {
		s.opts.Log.Warn("messages of an account that was deleted can't be read: they stay, and take room; "+advice,
			"account", g.account, "messages", g.unread.messages, "err", plainText(g.unread.err))
	}
	return last, nil
}

// purgeAll adds the deletion of deleted messages of an account.
func (c *committer) purgeAll(b *pebble.Batch, account storage.AccountID, ids []storage.MessageID, u *unread) error {
	var gone counter
	for _, id := range ids {
		at, e, err := c.kept(account, id)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err == nil {
			err = c.disown(b, id, &e, nil)
		}
		if u.passOver(err) {
			continue
		}
		if err != nil {
			return readError(err)
		}
		c.deleteKeptRows(b, account, id, at)
		gone = gone.plus(counter{1, e.octets()})
	}
	c.countKept(b, counter{-gone.messages, -gone.octets})
	return nil
}
