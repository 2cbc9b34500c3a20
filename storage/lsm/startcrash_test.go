package lsm

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// A start is killed, or the power is cut, before each write of it, and so is the start after
// that: all messages are there, and nothing is said of damage, a lost log or a lost end. What
// was not synced is kept or lost as a whole: Pebble needs a file system that keeps the order
// of changes of a directory.
func TestACrashDuringAStartIsNoDamage(t *testing.T) {
	for _, percent := range []int{0, 100} {
		for _, messages := range []int{0, 3, 60} {
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 0))
			mem := vfs.NewCrashableMem()
			s := openOn(t, mem)
			alice := accountIn(t, s, "alice")
			for i := range messages {
				if _, err := storetest.Deliver(s, storetest.Body(40_000, fmt.Sprint(i)), alice); err != nil {
					t.Fatal(err)
				}
			}
			disk := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// started starts a store, and returns the disk before each write of its start.
			started := func(disk *vfs.MemFS, at string, points bool) []crashPoint {
				c := &crasher{mem: disk, percent: percent, rand: random}
				var log bytes.Buffer
				o := testOptions(disk)
				if points {
					o.FS = errorfs.Wrap(disk, c)
				}
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
				s, err := Open(o)
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, at, err)
				}
				c.mu.Lock()
				before := c.points
				c.mu.Unlock()
				if log.Len() > 0 {
					t.Errorf("seed %d, %d messages, %s: %s", seed, messages, at, &log)
				}
				if !points {
					sum, err := s.Check(context.Background(), func(f storage.Fault) { t.Errorf("seed %d, %d messages, %s: %s", seed, messages, at, f.Text) })
					if err != nil || sum.Messages != int64(messages) {
						t.Errorf("seed %d, %s: %d of %d messages, %v", seed, at, sum.Messages, messages, err)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return before
			}
			first := started(disk, "the first start", true)
			for i, p := range first {
				if testing.Short() && i%5 != 0 {
					continue
				}
				again := p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})
				started(p.fs, "killed before "+p.op, false)
				if i%6 != 0 {
					continue
				}
				for _, q := range started(again, "killed before "+p.op, true) {
					started(q.fs, "killed before "+p.op+", and then before "+q.op, false)
				}
			}
			t.Logf("%d %% unsynced, %d messages: killed before %d writes", percent, messages, len(first))
		}
	}
}
