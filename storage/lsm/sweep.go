package lsm

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// sweep ends what a crash cut off: drafts that were not delivered (P rows) and
// accounts that were being removed (Z rows). It runs at start, alone.
func (s *Store) sweep() error {
	if err := s.sweepDrafts(); err != nil {
		return err
	}
	var doomed []storage.AccountID
	err := scan(s.db, []byte{tagDoomed}, func(k, _ []byte) (bool, error) {
		doomed = append(doomed, accountOfKey(k))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, id := range doomed {
		err := s.clearMaildrop(id, s.carryDirectly)
		if errors.Is(err, storage.ErrCorrupt) {
			s.leaveUncleared(id, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// sweepDrafts deletes the bodies of drafts that were never delivered.
func (s *Store) sweepDrafts() error {
	b := s.db.NewBatch()
	defer b.Close()
	err := scan(s.db, []byte{tagDraft}, func(k, _ []byte) (bool, error) {
		id := idOfKey(k)
		deleteBody(b, id, rangeDeleteFrom) // how many chunks there are is not known
		return true, b.Delete(k, nil)
	})
	if err != nil || b.Empty() {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// carryDirectly carries a step out before there is a committer.
func (s *Store) carryDirectly(c *call) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := c.stage(b); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}
