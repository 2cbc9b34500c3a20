package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/lsm"
	"postrider/storage/storetest"
)

// backedUp is a backup with messages of an account, and its list.
func backedUp(t *testing.T, fs vfs.FS, to string, messages int) *List {
	t.Helper()
	s := open(t, fs, "data")
	alice := storetest.Account(t, s, "alice")
	for i := range messages {
		if _, err := storetest.Deliver(s, noise(i), alice); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.MkdirAll("data/deep/below", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, fs, "data/deep/below/key.pem", "key")
	dir, remove, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Take(context.Background(), Options{Store: "data/" + dir, Data: "data", To: to, FS: fs})
	if err := errors.Join(err, remove(), s.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := Find(fs, r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// While a restore runs, at each file of it, no server starts on the directory, no second
// restore begins, and no backup is made of what is there; the restore ends well all the same.
func TestARestoreExcludesAllOthers(t *testing.T) {
	fs := vfs.NewMem()
	l := backedUp(t, fs, "backups", 30)
	ctx, calls := context.Background(), 0
	_, err := Restore(ctx, fs, l, "again", func(string) error {
		calls++
		if _, err := lsm.Open(lsm.Options{Dir: "again", FS: fs, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, lsm.ErrLocked) || !strings.Contains(err.Error(), "restored") {
			t.Errorf("a server starts: %v", err)
		}
		if _, err := Restore(ctx, fs, l, "again", func(string) error { return nil }); !errors.Is(err, lsm.ErrLocked) {
			t.Errorf("a second restore begins: %v", err)
		}
		if _, err := lsm.Lock(fs, "again"); !errors.Is(err, lsm.ErrLocked) {
			t.Errorf("a backup begins: %v", err)
		}
		return nil
	})
	if err != nil || calls < len(l.Files) {
		t.Fatalf("%v after %d calls", err, calls)
	}
	s := open(t, fs, "again")
	if n := storetest.Clean(t, s).Messages; n != 30 {
		t.Errorf("%d messages", n)
	}
	if _, err := Restore(ctx, fs, l, "again", func(string) error { return nil }); !errors.Is(err, lsm.ErrLocked) {
		t.Errorf("a restore into the store of a server: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Each directory that a restore makes gets its owner, also one that has directories alone;
// and the lock, which the server has to open.
func TestARestoreTellsOfAllThatItMakes(t *testing.T) {
	fs := vfs.NewMem()
	l := backedUp(t, fs, "backups", 1)
	told := make(map[string]bool)
	if _, err := Restore(context.Background(), fs, l, "again", func(path string) error { told[path] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"again", "again/" + lsm.LockFile, "again/deep", "again/deep/below", "again/deep/below/key.pem"} {
		if !told[name] {
			t.Errorf("%s is not told of: %v", name, told)
		}
	}
}

// A power cut before each write of a restore: a server starts on nothing, on an empty
// directory, or on all of it, and a backup is made of no other. The same restore then works.
func TestARestoreThatIsCutIsNotTakenForAWholeStore(t *testing.T) {
	seed := rand.Uint64()
	c := &crasher{mem: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(seed, 1))}
	fs := errorfs.Wrap(linking{c.mem, c}, c)
	l := backedUp(t, fs, "backups", 20)
	ctx, nothing := context.Background(), func(string) error { return nil }
	c.turn(true)
	if _, err := Restore(ctx, fs, l, "far/from/here", nothing); err != nil {
		t.Fatal(err)
	}
	c.turn(false)
	after := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: c.random})
	refused, empty, whole := 0, 0, 0
	for i, disk := range append(c.points, after) {
		at := "after the end"
		if i < len(c.ops) {
			at = "before " + c.ops[i]
		}
		names, err := disk.List("far/from/here")
		if err != nil || len(names) == 0 || len(names) == 1 && names[0] == lsm.LockFile {
			empty++
		} else if s, err := lsm.Open(lsm.Options{Dir: "far/from/here", FS: disk, Log: slog.New(slog.DiscardHandler)}); err == nil {
			whole++
			if n := storetest.Clean(t, s).Messages; n != 20 {
				t.Fatalf("seed %d, %s: a server starts on %d messages", seed, at, n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		} else {
			refused++
			_, err := Take(ctx, Options{Store: "far/from/here", Data: "far/from/here", To: "others", FS: disk})
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("seed %d, %s: a backup of half a store: %v", seed, at, err)
			}
		}
		if i == len(c.points) {
			t.Fatalf("seed %d: a power cut took away what was restored: %q", seed, names)
		}
		if _, err := Restore(ctx, disk, l, "far/from/here", nothing); err != nil {
			t.Fatalf("seed %d, %s: %v", seed, at, err)
		}
	}
	t.Logf("%d times refused, %d times empty, %d times whole", refused, empty, whole)
	if refused == 0 || whole == 0 {
		t.Error("the crashes do not cover the restore")
	}
}

// A power cut after a backup was made, into directories that were not there: it is found.
func TestABackupIntoNewDirectoriesIsDurable(t *testing.T) {
	for depth := range 4 {
		mem := vfs.NewCrashableMem()
		to := strings.Repeat("new/", depth) + "backups"
		backedUp(t, mem, to, 5)
		disk := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, uint64(depth)))})
		l, err := Find(disk, to)
		if err == nil {
			_, err = Verify(context.Background(), disk, l)
		}
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		if n := countRestored(t, disk, l); n != 5 {
			t.Errorf("%s: %d messages", to, n)
		}
	}
}

// The parents that a directory lacks are made and durable, and told highest first.
func TestMakeDirs(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("a", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[a/b a/b/c a/b/c/d]", "[]"} {
		made, err := lsm.MakeDirs(mem, "a/b/c/d")
		if got := fmt.Sprint(made); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	if err := lsm.SyncDir(mem, "."); err != nil {
		t.Fatal(err)
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 2))})
	if _, err := disk.Stat("a/b/c/d"); err != nil {
		t.Error(err)
	}
	write(t, mem, "a/file", "x")
	if _, err := lsm.MakeDirs(mem, "a/file/below"); err == nil {
		t.Errorf("below a file: %v", err)
	}
}
