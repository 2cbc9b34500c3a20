package lsm

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// shortage is a process that may open no more files while it lasts.
type shortage struct {
	err   error
	lasts atomic.Bool
	met   atomic.Int64
}

func (s *shortage) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpReuseForWrite:
		if s.lasts.Load() {
			s.met.Add(1)
			return &errorOn{op, s.err}
		}
	}
	return nil
}

func (s *shortage) String() string { return "shortage" }

// A store that can't open files waits until it can. It does not fail, whatever it was
// about to open; what was in flight is stored.
func TestAStoreWaitsForOpenFiles(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE} {
		t.Run(err.Error(), func(t *testing.T) {
			short := &shortage{err: err}
			mem := vfs.NewMem()
			opts := testOptions(errorfs.Wrap(mem, short))
			opts.Compression = "none"
			opts.Failed = func(err error) { t.Errorf("the store failed: %v", err) }
			s, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			a := accountIn(t, s, "alice")
			want := 0
			for range 3 { // each time something else is about to be opened
				short.lasts.Store(true)
				before := short.met.Load()
				const sent = 40 // 8 MB: several memtables
				done := make(chan error, sent)
				for range sent {
					s.Deliver(&storage.Delivery{
						Draft: storetest.Draft(s, storetest.Body(200_000, "x")), Arrival: time.Now(), Size: 200_000,
						Recipients: []storage.Recipient{{Account: a, Trace: storetest.Trace(a)}},
						Done:       func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
					})
				}
				for end := time.Now().Add(2 * time.Minute); short.met.Load() < before+5; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("the store opens nothing")
					}
				}
				short.lasts.Store(false)
				for range sent {
					if err := <-done; err != nil {
						t.Errorf("a message was not stored: %v", err)
					}
				}
				want += sent
			}
			if got := storetest.Contents(t, s, a); len(got) != want {
				t.Errorf("%d of %d messages", len(got), want)
			}
			storetest.Clean(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
