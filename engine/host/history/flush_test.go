package history

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/storage"
)

// returns fails the test if f does not return. Minutes are far more than it needs.
func returns(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("it waits for events that are added after it")
	}
}

// Flush waits for what was added before it, and no longer, while others add all the time and
// each write is so slow that more events wait after it. So does what calls it.
func TestFlushWaitsForNoLaterEvent(t *testing.T) {
	dir := t.TempDir()
	var l *Log
	var ended atomic.Bool
	var later atomic.Int64
	add := func() { received(l, storage.MessageID(1_000_000+later.Add(1)), time.Now()) }
	// An event is added in each write, so that there is never a moment without one.
	l = New(Options{Dir: dir, Settings: generous, Free: func() int64 {
		if !ended.Load() {
			add()
		}
		return 1 << 40
	}})
	var others sync.WaitGroup
	others.Go(func() {
		for !ended.Load() {
			add()
			time.Sleep(100 * time.Microsecond)
		}
	})
	t.Cleanup(func() {
		ended.Store(true)
		others.Wait()
		l.Stop()
	})
	has := func(id storage.MessageID, want int) {
		t.Helper()
		if found, _, err := Find(dir, generous, id, time.Now()); err != nil || len(found) != want {
			t.Errorf("message %d: %d events in the files, want %d: %v", id, len(found), want, err)
		}
	}
	for id := range storage.MessageID(10) {
		received(l, id, time.Now())
		returns(t, l.Flush)
		has(id, 1)
	}
	returns(t, func() { find(t, l, 9, 1) })
	ids := make([]storage.MessageID, 3*4096) // three times as many as wait for the writer
	for i := range ids {
		ids[i] = storage.MessageID(10 + i)
	}
	returns(t, func() { l.AddDeleted(ids, "u@b.example", "pop3", "") })
	returns(t, l.Flush)
	has(ids[0], 1)
	has(ids[len(ids)-1], 1)
	if n := l.Stats.LeftOut.Load(); n != 0 {
		t.Errorf("%d were left out", n)
	}
}

// After a start the bound of the free disk has the files of earlier processes in it, in the
// first sweep as in the first write: they do not go because the process is a new one.
func TestAStartDeletesNothing(t *testing.T) {
	const files, each = 16, 1 << 20
	for name, first := range map[string]func(l *Log){
		"sweep": func(l *Log) { l.sweep() },
		"write": func(l *Log) {
			received(l, 1, time.Now())
			l.Flush()
		},
	} {
		dir := t.TempDir()
		for i := range files {
			path := filepath.Join(dir, fmt.Sprint(i+1, ending))
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, each); err != nil {
				t.Fatal(err)
			}
		}
		// An eighth of the disk is 17.5 MiB: room for the files, and for a new one.
		free := int64(8*17.5*each) - files*each
		l := New(Options{Dir: dir, Settings: generous, Free: func() int64 { return free }})
		first(l)
		if _, total := list(dir); total < files*each || total != l.Stats.Octets.Load() {
			t.Errorf("%s: %d octets are left of %d, %d are told", name, total, files*each, l.Stats.Octets.Load())
		}
	}
}
