package capture

import (
	"context"
	"errors"
	"time"

	"postrider/storage"
)

const (
	retainEvery = 500 * time.Millisecond
	// retainBatch is how many messages are deleted in one step: the store is ours for
	// some milliseconds only.
	retainBatch = 1000
)

// Retain deletes what is beyond Keep and Age, until ctx is done.
func (v *View) Retain(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	var told time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := v.trim(ctx, time.Now())
		// While a POP3 session has the maildrop open, it waits.
		if err != nil && !errors.Is(err, storage.ErrInUse) && ctx.Err() == nil && time.Since(told) > time.Minute {
			told = time.Now()
			v.cfg.Load().Log.Error("captured mail over the limits cannot be deleted; it will be tried again", "err", err)
		}
	}
}

// trim deletes what is beyond the limits at a time.
func (v *View) trim(ctx context.Context, now time.Time) error {
	for ctx.Err() == nil {
		ids, err := v.beyond(now)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := v.expunge(ids); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// beyond are the oldest messages beyond the limits, at most a batch.
func (v *View) beyond(now time.Time) ([]storage.MessageID, error) {
	total, _, err := v.cfg.Load().Store.Usage(v.cfg.Load().Account)
	if err != nil {
		return nil, err
	}
	excess := 0
	if v.cfg.Load().Keep > 0 {
		excess = int(max(total-int64(v.cfg.Load().Keep), 0))
	}
	if excess == 0 && v.cfg.Load().Age == 0 {
		return nil, nil
	}
	view, err := v.cfg.Load().Store.View(v.cfg.Load().Account)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	var ids []storage.MessageID
	for len(ids) < retainBatch && view.Next() {
		m, err := view.Open()
		if err != nil {
			return nil, err
		}
		e := m.Entry()
		m.Close()
		if len(ids) >= excess && (v.cfg.Load().Age == 0 || now.Sub(e.Arrival) <= v.cfg.Load().Age) {
			break
		}
		ids = append(ids, e.ID)
	}
	return ids, view.Err()
}

// expunge deletes messages under the lock of the maildrop, for good: captured mail is not
// undeleted.
func (v *View) expunge(ids []storage.MessageID) error {
	lock, err := v.cfg.Load().Store.LockMaildrop(v.cfg.Load().Account)
	if err != nil {
		return err
	}
	defer lock.Release()
	return lock.Purge(ids)
}
