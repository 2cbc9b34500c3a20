package lsm

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// moveStep is how many entries one synced step of MoveQueued moves.
const moveStep = 1000

// MoveQueued implements storage.Queue.
func (s *Store) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (moved int, err error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareEntryIDs)
	ids = slices.Compact(ids)
	for step := range slices.Chunk(ids, moveStep) {
		n := 0
		err := s.do(&call{alone: true, stage: func(*pebble.Batch) (err error) {
			n, err = s.committer.move(step, m)
			return err
		}})
		if err != nil {
			return moved, err
		}
		moved += n
	}
	return moved, nil
}

// move moves entries in one batch and returns how many it changed.
func (c *committer) move(ids []storage.EntryID, m storage.QueueMove) (int, error) {
	n := 0
	for _, id := range ids {
		done, err := c.planMove(id, m)
		if err != nil {
			c.dropPlan()
			return 0, err
		}
		if done {
			n++
		}
	}
	c.carryOutPlan(c.open())
	return n, nil
}

// planMove plans the move of one entry; false: it is not there, or is already
// what it is to be.
func (c *committer) planMove(id storage.EntryID, m storage.QueueMove) (bool, error) {
	at, there, err := c.place(id)
	if err != nil || !there || m == storage.Hold && at.held() || m == storage.Release && !at.held() {
		return false, err
	}
	old, err := c.standingEntry(id, &at)
	if err != nil {
		return false, err
	}
	ch := change{id: id, was: at, at: at, old: old, new: old, flush: true}
	switch m {
	case storage.RequeueNow, storage.Release:
		ch.now = c.mail.stamps.next()
		if ch.now == at.due { // the clock has stepped back over a new start
			ch.now = c.mail.stamps.next()
		}
		ch.at.due = ch.now
	case storage.Hold:
		ch.at.due = heldDue
	case storage.DropQueued:
		ch.new = nil
	default:
		return false, fmt.Errorf("%w: move %d of a queue entry", storage.ErrInvalid, m)
	}
	return true, c.plan(ch)
}

func compareEntryIDs(a, b storage.EntryID) int {
	return cmp.Or(cmp.Compare(a.Message, b.Message), cmp.Compare(a.Part, b.Part))
}
