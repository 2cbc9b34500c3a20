package lsm

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// queueAcks is what a store that may fail has acknowledged of its mail queue.
type queueAcks struct {
	queued  []storage.EntryID // and not settled
	settled []storage.EntryID
}

func failedOrFull(err error) bool {
	return errors.Is(err, storage.ErrFailed) || errors.Is(err, storage.ErrFull)
}

// live queues a message, and settles every third one.
func (q *queueAcks) live(t *testing.T, s *Store, round int) {
	id, err := storetest.Enqueue(s, storetest.Body(500, "fault"), nil, storetest.Waiting("a.test", "x"))
	if err != nil {
		if !failedOrFull(err) {
			t.Errorf("Enqueue: %v", err)
		}
		return
	}
	entry := storage.EntryID{Message: id}
	e, err := s.QueuedEntry(entry)
	if err != nil {
		t.Errorf("QueuedEntry: %v", err)
		return
	}
	s.Sleep("a.test", e.Before(), time.Time{})
	if round%3 != 0 {
		q.queued = append(q.queued, entry)
		return
	}
	switch err := s.Settle([]storage.Settlement{storetest.Done(e)}); {
	case err == nil:
		q.settled = append(q.settled, entry)
	case !errors.Is(err, storage.ErrFailed):
		t.Errorf("Settle: %v", err)
	}
	if err := s.Awake(func(string) {}); err != nil && !errors.Is(err, storage.ErrFailed) {
		t.Errorf("Awake: %v", err)
	}
}

// compare holds what is found on the disk to what was acknowledged.
func (q *queueAcks) compare(t *testing.T, s *Store, n int64) {
	t.Helper()
	var found []storage.EntryID
	for _, e := range storetest.All(t, s, storage.QueueFilter{}) {
		found = append(found, e.ID)
	}
	for _, id := range q.queued {
		if !slices.Contains(found, id) {
			t.Errorf("failing at operation %d: entry %s is lost", n, id)
		}
	}
	for _, id := range q.settled {
		if slices.Contains(found, id) {
			t.Errorf("failing at operation %d: entry %s came back", n, id)
		}
	}
}

// On a full disk nothing is queued, and what is in the queue can leave.
func TestAFullDiskLetsTheQueueDrain(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 50 << 30, TotalBytes: 100 << 30})
	s := openOn(t, mem)
	defer s.Close()
	e := enqueue(t, s, "a.test")
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 500 << 20, TotalBytes: 100 << 30})
	s.space.look()
	_, err := storetest.Enqueue(s, storetest.Body(10, "x"), nil, storetest.Waiting("a.test", "x"))
	if !errors.Is(err, storage.ErrFull) {
		t.Errorf("Enqueue on a full disk: %v", err)
	}
	if err := s.Settle([]storage.Settlement{storetest.Done(e)}); err != nil {
		t.Errorf("Settle on a full disk: %v", err)
	}
	if n, octets := s.QueueTotal(); n != 0 || octets != 0 {
		t.Errorf("%d entries of %d octets are left", n, octets)
	}
}

// A store that can't write any more refuses changes of the queue and lists it.
func TestAFailedStoreListsItsQueue(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	e := enqueue(t, s, "a.test")
	s.fail(syscall.EIO)
	s.Sleep("a.test", storage.Cursor{}, time.Time{})
	_, moving := s.MoveQueued([]storage.EntryID{e.ID}, storage.Hold)
	for what, err := range map[string]error{
		"Settle": s.Settle([]storage.Settlement{storetest.Done(e)}), "Awake": s.Awake(func(string) {}),
		"MoveQueued": moving, "ForgetHistory": s.ForgetHistory(time.Now()),
	} {
		if !errors.Is(err, storage.ErrFailed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := storetest.All(t, s, storage.QueueFilter{}); len(got) != 1 || got[0].ID != e.ID {
		t.Errorf("%d entries are listed", len(got))
	}
}
