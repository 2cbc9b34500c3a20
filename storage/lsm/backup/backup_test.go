package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/lsm"
	"postrider/storage/storetest"
)

func open(t *testing.T, fs vfs.FS, dir string) *lsm.Store {
	t.Helper()
	s, err := lsm.Open(lsm.Options{Dir: dir, FS: fs, Log: slog.New(slog.DiscardHandler), CacheSize: 8 << 20, MemTableSize: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// otherDisk is a file system on which the backups are on another disk than the store: no
// file of the one can be linked into the other.
type otherDisk struct{ vfs.FS }

func (d otherDisk) Link(old, name string) error {
	if strings.HasPrefix(old, "data") != strings.HasPrefix(name, "data") {
		return errors.New("invalid cross-device link")
	}
	return d.FS.Link(old, name)
}

// take makes a backup of an open store, as a server and a command do.
func take(t *testing.T, fs vfs.FS, s *lsm.Store, keep int) Result {
	t.Helper()
	dir, remove, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Take(context.Background(), Options{Store: path.Join("data", dir), Data: "data", To: "backups", Keep: keep, FS: fs, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	return r
}

// restored opens what the newest backup gives, in a directory of its own.
func restored(t *testing.T, fs vfs.FS, dir string) *lsm.Store {
	t.Helper()
	l, err := Find(fs, "backups")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(context.Background(), fs, l); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(context.Background(), fs, l, dir, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return open(t, fs, dir)
}

// noise is a message that no packing makes much smaller.
func noise(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	body := []byte("Subject: x\r\n\r\n")
	for range 400 {
		body = fmt.Appendf(body, "%x%x\r\n", random.Uint64(), random.Uint64())
	}
	return body
}

func write(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// While sessions deliver, backups are made: each has all that was acknowledged before it
// began, and its store is without faults; so does the other disk.
func TestABackupUnderLoadHasAllThatWasAcknowledged(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"one disk": vfs.NewMem(), "two disks": otherDisk{vfs.NewMem()}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, fs, "data")
			alice := storetest.Account(t, s, "alice")
			var mu sync.Mutex
			acked := make(map[storage.MessageID][]byte)
			var stop atomic.Bool
			var sessions sync.WaitGroup
			for n := range 8 {
				sessions.Go(func() {
					for i := 0; !stop.Load(); i++ {
						body := storetest.Body(500+i%7*9000, fmt.Sprintf("session %d message %d", n, i))
						id, err := storetest.Deliver(s, body, alice)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						acked[id] = body
						mu.Unlock()
					}
				})
			}
			for round := range 3 {
				for wanted := 100 * (round + 1); ; time.Sleep(time.Millisecond) {
					mu.Lock()
					n := len(acked)
					mu.Unlock()
					if n >= wanted || t.Failed() {
						break
					}
				}
				mu.Lock()
				before := make(map[storage.MessageID][]byte, len(acked))
				for id, body := range acked {
					before[id] = body
				}
				mu.Unlock()
				r := take(t, fs, s, 0)
				again := restored(t, fs, fmt.Sprintf("again%d", round))
				storetest.Clean(t, again)
				got := storetest.Contents(t, again, alice)
				for id, body := range before {
					if !bytes.Equal(got[id], body) {
						t.Errorf("round %d: message %s has %d octets, and %d were delivered", round, id, len(got[id]), len(body))
					}
				}
				t.Logf("%d of at least %d messages; %d files, %d octets: %d copied, %d linked", len(got), len(before), r.Files, r.Octets, r.Copied, r.Linked)
				if err := again.Close(); err != nil {
					t.Error(err)
				}
			}
			stop.Store(true)
			sessions.Wait()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// On another disk a second backup copies what is new, and each backup is complete when
// the others are removed.
func TestASecondBackupCopiesWhatIsNew(t *testing.T) {
	fs := otherDisk{vfs.NewMem()}
	s := open(t, fs, "data")
	alice := storetest.Account(t, s, "alice")
	deliver := func(n int) {
		t.Helper()
		for i := range n {
			if _, err := storetest.Deliver(s, noise(i), alice); err != nil {
				t.Fatal(err)
			}
		}
	}
	deliver(200)
	write(t, fs, "data/scram-secret", "secret")
	if err := fs.MkdirAll("data/dkim", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, fs, "data/dkim/key.pem", "key")
	write(t, fs, "data/damaged-000001.log", "aside")
	first := take(t, fs, s, 0)
	deliver(10)
	second := take(t, fs, s, 0)
	if first.Linked != 0 || second.Linked == 0 || second.Copied > first.Copied*2/3 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	third := take(t, fs, s, 1)
	if third.Removed != 2 {
		t.Errorf("%d backups were removed", third.Removed)
	}
	if names, err := fs.List("backups"); err != nil || len(names) != 2 { // and the lock
		t.Errorf("%q, %v", names, err)
	}
	again := restored(t, fs, "again")
	if n := len(storetest.Contents(t, again, alice)); n != 210 {
		t.Errorf("%d messages", n)
	}
	for name, want := range map[string]bool{"scram-secret": true, "dkim/key.pem": true, "damaged-000001.log": false, "checkpoint-1": false, lsm.RestoreFlag: false} {
		if _, err := fs.Stat("again/" + name); (err == nil) != want {
			t.Errorf("%s: %v, expected %v", name, err, want)
		}
	}
	for _, s := range []*lsm.Store{again, s} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// crasher keeps the disk, as a power cut leaves it, before each change of it.
type crasher struct {
	mem    *vfs.MemFS
	random *rand.Rand
	mu     sync.Mutex
	on     bool
	points []*vfs.MemFS
	ops    []string
}

func (c *crasher) MaybeError(op errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		c.points = append(c.points, c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.random.IntN(101), RNG: c.random}))
		c.ops = append(c.ops, fmt.Sprintf("%v of %s", op.Kind, op.Path))
	}
	return nil
}

func (c *crasher) String() string { return "crasher" }

// turn turns the crashes on or off.
func (c *crasher) turn(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

// linking is the disk of a crasher. Link of a MemFS takes the lock for readers twice, and
// between the two no writer may come: CrashClone is one.
type linking struct {
	vfs.FS
	c *crasher
}

func (l linking) Link(from, to string) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.FS.Link(from, to)
}

// A crash before each write of a backup: what is taken for a whole backup is one, the
// older one stays whole, and the next backup works.
func TestABackupThatIsCutIsNotTakenForAWholeOne(t *testing.T) {
	for _, links := range []bool{true, false} {
		seed := rand.Uint64()
		c := &crasher{mem: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(seed, 1))}
		var fs vfs.FS = errorfs.Wrap(linking{c.mem, c}, c)
		if !links {
			fs = otherDisk{fs}
		}
		s := open(t, fs, "data")
		alice := storetest.Account(t, s, "alice")
		for i := range 60 {
			if _, err := storetest.Deliver(s, noise(i), alice); err != nil {
				t.Fatal(err)
			}
		}
		take(t, fs, s, 0)
		if _, err := storetest.Deliver(s, storetest.Body(90_000, "last"), alice); err != nil {
			t.Fatal(err)
		}
		c.turn(true)
		take(t, fs, s, 1)
		c.turn(false)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		old, complete := 0, 0
		for i, disk := range c.points {
			if testing.Short() && i%9 != 0 && i < len(c.points)-3 {
				continue
			}
			names, err := Whole(disk, "backups")
			if err != nil || len(names) == 0 {
				t.Fatalf("seed %d, before %s: %q, %v", seed, c.ops[i], names, err)
			}
			l, err := Find(disk, "backups")
			if err == nil {
				_, err = Verify(context.Background(), disk, l)
			}
			if err != nil {
				t.Fatalf("seed %d, before %s: %v", seed, c.ops[i], err)
			}
			switch messages := countRestored(t, disk, l); messages {
			case 60:
				old++
			case 61:
				complete++
			default:
				t.Fatalf("seed %d, before %s: %d messages", seed, c.ops[i], messages)
			}
		}
		t.Logf("links %v: %d crashes: %d times the older backup, %d times the new one", links, len(c.points), old, complete)
		if old == 0 || complete == 0 {
			t.Error("the crashes do not cover the backup")
		}
	}
}

// countRestored restores a backup and counts its messages.
func countRestored(t *testing.T, fs vfs.FS, l *List) int {
	t.Helper()
	if _, err := Restore(context.Background(), fs, l, "again", func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s := open(t, fs, "again")
	defer s.Close()
	return int(storetest.Clean(t, s).Messages)
}

// Each file of a backup in turn is cut, changed or missing: a restore says so, and a
// server does not start on what it has left; a restore of a whole backup does.
func TestADamagedBackupIsNotRestored(t *testing.T) {
	fs := otherDisk{vfs.NewMem()}
	s := open(t, fs, "data")
	alice := storetest.Account(t, s, "alice")
	if _, err := storetest.Deliver(s, storetest.Body(50_000, "x"), alice); err != nil {
		t.Fatal(err)
	}
	write(t, fs, "data/scram-secret", "secret")
	r := take(t, fs, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := Find(fs, r.Dir)
	if err != nil || len(l.Files) < 5 {
		t.Fatalf("%v: %+v", err, l)
	}
	nothing := func(string) error { return nil }
	for _, f := range l.Files {
		if f.Size == 0 {
			continue // a marker: it is only there
		}
		name := path.Join(r.Dir, f.Name)
		whole := read(t, fs, name)
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 4
		for _, bad := range [][]byte{flipped, whole[:len(whole)-1], nil} {
			if write(t, fs, name, string(bad)); bad == nil {
				if err := fs.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Verify(context.Background(), fs, l); !errors.Is(err, ErrNotWhole) {
				t.Errorf("%s: Verify: %v", f.Name, err)
			}
			if _, err := Restore(context.Background(), fs, l, "again", nothing); !errors.Is(err, ErrNotWhole) {
				t.Errorf("%s: Restore: %v", f.Name, err)
			}
			if _, err := lsm.Open(lsm.Options{Dir: "again", FS: fs, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "restore") {
				t.Errorf("%s: a server starts on half a restore: %v", f.Name, err)
			}
		}
		write(t, fs, name, string(whole))
	}
	list := path.Join(r.Dir, listName)
	whole := read(t, fs, list)
	for n := range len(whole) {
		bad := bytes.Clone(whole)
		if bad[n] ^= 1; n%2 == 0 {
			bad = whole[:n]
		}
		write(t, fs, list, string(bad))
		if _, err := Find(fs, r.Dir); !errors.Is(err, ErrNotWhole) {
			t.Fatalf("a list that is damaged at %d: %v", n, err)
		}
	}
	write(t, fs, list, string(whole))
	again := restored(t, fs, "again")
	storetest.Clean(t, again)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(context.Background(), fs, l, "again", nothing); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a restore over a store: %v", err)
	}
}

func read(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
