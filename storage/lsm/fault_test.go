package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// breaker makes the disk fail from its nth writing operation on.
type breaker struct {
	n    int64
	err  error
	seen atomic.Int64
}

func (b *breaker) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose {
		return nil
	}
	if b.seen.Add(1) > b.n {
		return &errorOn{op, b.err}
	}
	return nil
}

func (b *breaker) String() string { return "breaker" }

type errorOn struct {
	op  errorfs.Op
	err error
}

func (e *errorOn) Error() string { return fmt.Sprintf("%v of %s: %v", e.op.Kind, e.op.Path, e.err) }
func (e *errorOn) Unwrap() error { return e.err }

// The disk fails at each write in turn, and for good: every operation ends with a
// Receipt or an error, the process lives, and what has a Receipt is there when
// the store is opened on a disk that works.
func TestNoReceiptIsLostWhenTheDiskFails(t *testing.T) {
	for _, kind := range []error{syscall.EIO, syscall.ENOSPC} {
		t.Run(kind.Error(), func(t *testing.T) {
			step := int64(1)
			if testing.Short() {
				step = 7
			}
			for n := int64(0); ; n += step {
				if whole := failAt(t, n, kind); whole || t.Failed() {
					t.Logf("%d operations", n)
					return
				}
			}
		})
	}
}

// failAt lives with a disk that fails from operation n on; whole: it never did.
func failAt(t *testing.T, n int64, kind error) (whole bool) {
	mem := vfs.NewCrashableMem()
	b := &breaker{n: n, err: kind}
	failed := make(chan error, 1)
	opts := testOptions(errorfs.Wrap(mem, b))
	opts.MemTableSize = 256 << 10
	opts.Failed = func(err error) { failed <- err }
	acked := make(map[storage.MessageID]int)
	var q queueAcks
	s, err := Open(opts)
	if err == nil {
		livesOn(t, s, acked, &q)
		if h := s.Health(); h.Err != nil && !errors.Is(h.Err, storage.ErrFailed) && !errors.Is(h.Err, storage.ErrFull) {
			t.Errorf("Health: %v", h.Err)
		}
		if errors.Is(s.Health().Err, storage.ErrFailed) {
			<-failed
		}
		_ = s.Close()
	}
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	again, err := Open(testOptions(clone))
	if err != nil && len(acked)+len(q.queued) == 0 {
		return false // the disk failed while the store was being made
	}
	if err != nil {
		t.Fatalf("failing at operation %d: Open: %v", n, err)
	}
	if a, err := again.Lookup("alice", storetest.Domain); err == nil {
		got := storetest.Contents(t, again, a.Account)
		for id, octets := range acked {
			if len(got[id]) != octets {
				t.Errorf("failing at operation %d: message %s has %d octets, acknowledged were %d", n, id, len(got[id]), octets)
			}
		}
	} else if len(acked) > 0 {
		t.Errorf("failing at operation %d: the account is lost", n)
	}
	q.compare(t, again, n)
	storetest.Clean(t, again)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	return b.seen.Load() <= n
}

// livesOn uses a store that may fail at any moment. acked gets the messages that
// a Receipt says are there.
func livesOn(t *testing.T, s *Store, acked map[storage.MessageID]int, q *queueAcks) {
	_ = s.AddDomain(storetest.Domain)
	a, err := s.AddAccount(storage.NewAccount{Name: "alice", Domain: storetest.Domain})
	if err != nil {
		return
	}
	var gone []storage.MessageID
	for i := range 12 {
		body := storetest.Body(i*i*1500+10, "fault")
		id, err := storetest.Deliver(s, body, a)
		switch {
		case err == nil && i%4 == 3:
			gone = append(gone, id)
		case err == nil:
			acked[id] = len(body)
		case !errors.Is(err, storage.ErrFailed) && !errors.Is(err, storage.ErrFull):
			t.Errorf("Deliver: %v", err)
		}
		q.live(t, s, i)
	}
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Errorf("LockMaildrop: %v", err)
		return
	}
	_ = l.Expunge(gone)
	if _, err := l.List(100); err != nil && !errors.Is(err, storage.ErrFailed) {
		t.Errorf("List: %v", err)
	}
	l.Release()
}

// A full disk that gets room again takes mail again, without a new start.
func TestAFullDiskRecovers(t *testing.T) {
	mem := vfs.NewMem()
	usage := func(avail uint64) {
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: avail, TotalBytes: 100 << 30, UsedBytes: 100<<30 - avail})
	}
	usage(50 << 30)
	s := openOn(t, mem)
	defer s.Close()
	a := accountIn(t, s, "alice")
	first, err := storetest.Deliver(s, storetest.Body(10, "x"), a)
	if err != nil {
		t.Fatal(err)
	}
	usage(500 << 20)
	s.space.look()
	if err := s.Admit(0); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Admit on a full disk: %v", err)
	}
	if _, err := storetest.Deliver(s, storetest.Body(100_000, "x"), a); !errors.Is(err, storage.ErrFull) {
		t.Errorf("Deliver on a full disk: %v", err)
	}
	if h := s.Health(); h.FreeBytes >= 0 || !errors.Is(h.Err, storage.ErrFull) {
		t.Errorf("Health: %+v", h)
	}
	if got := storetest.Contents(t, s, a); len(got) != 1 || got[first] == nil {
		t.Errorf("%d messages are readable", len(got))
	}
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Expunge([]storage.MessageID{first}); err != nil {
		t.Errorf("Expunge on a full disk: %v", err)
	}
	l.Release()
	usage(50 << 30)
	s.space.look()
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Errorf("Deliver when there is room again: %v", err)
	}
}

// A write that finds no room is done all the same: the ballast makes room for it.
func TestTheBallastMakesRoom(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 50 << 30, TotalBytes: 100 << 30})
	var full atomic.Bool
	s := openOn(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if _, err := mem.Stat("data/ballast"); full.Load() && err == nil && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	})))
	defer s.Close()
	a := accountIn(t, s, "alice")
	full.Store(true)
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Errorf("the delivery that met the full disk: %v", err)
	}
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); !errors.Is(err, storage.ErrFull) {
		t.Errorf("the next delivery: %v", err)
	}
	full.Store(false)
	s.space.look()
	if _, err := mem.Stat("data/ballast"); err != nil {
		t.Errorf("the ballast was not made again: %v", err)
	}
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Errorf("a delivery when there is room again: %v", err)
	}
}

// A bit that flips anywhere in a file gives ErrCorrupt or does no harm: never a
// panic, never a body that is short or another.
func TestAFlippedBitIsFound(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openOn(t, mem)
	a := accountIn(t, s, "alice")
	bodies := make(map[storage.MessageID][]byte)
	for i := range 4 {
		body := storetest.Body(i*22_500+10, "flip") // the last one has two chunks
		id, err := storetest.Deliver(s, body, a)
		if err != nil {
			t.Fatal(err)
		}
		bodies[id] = body
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := mem.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if ext := path.Ext(name); ext != ".sst" && ext != ".blob" {
			continue
		}
		// A copy for each file: what is read often, Pebble writes again in another file.
		copied := mem.CrashClone(vfs.CrashCloneCfg{})
		flipEach(t, copied, path.Join("data", name), bodies)
	}
}

func flipEach(t *testing.T, mem *vfs.MemFS, name string, bodies map[storage.MessageID][]byte) {
	b, err := mem.UnsafeGetFileDataBuffer(name)
	if err != nil {
		t.Fatal(err)
	}
	found, refused, harmless := 0, 0, 0
	for i := range 60 {
		at := (i*len(b)/60 + i*31) % len(b)
		b[at] ^= 1 << (i % 8)
		s, err := Open(testOptions(mem))
		if err != nil {
			refused++
		} else {
			if readFlipped(t, s, bodies) {
				found++
			} else {
				harmless++
			}
			_ = s.Close()
		}
		b[at] ^= 1 << (i % 8)
	}
	t.Logf("%s, %d octets: %d found, %d refused by Open, %d harmless", name, len(b), found, refused, harmless)
	if strings.HasSuffix(name, ".blob") && found == 0 {
		t.Errorf("%s: no flip was found", name)
	}
}

// readFlipped reads all bodies; found: one could not be read.
func readFlipped(t *testing.T, s *Store, bodies map[storage.MessageID][]byte) (found bool) {
	ac, err := s.Lookup("alice", "example.org")
	if err != nil {
		t.Errorf("Lookup: %v", err)
		return false
	}
	l, err := s.LockMaildrop(ac.Account)
	if err != nil {
		t.Error(err)
		return false
	}
	defer l.Release()
	for id, body := range bodies {
		var got []byte
		m, err := l.Open(id)
		if err == nil {
			got, err = storetest.ReadAll(m)
		}
		switch {
		case errors.Is(err, storage.ErrCorrupt):
			found = true
			// From then on Open refuses it, before a reader has got an octet.
			if _, err := l.Open(id); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("message %s is opened once more though its body is damaged: %v", id, err)
			}
		case err != nil:
			t.Errorf("message %s: %v", id, err)
		case !bytes.Equal(got, body):
			t.Errorf("message %s came back changed", id)
		}
	}
	sequenceFlipped(t, l, bodies)
	faults := 0
	if _, err := s.Check(t.Context(), func(storage.Fault) { faults++ }); err != nil {
		t.Errorf("Check: %v", err)
	}
	if found && faults == 0 {
		t.Error("Check found no fault")
	}
	return found
}

// sequenceFlipped reads all bodies in order: each is whole, or its reading fails.
func sequenceFlipped(t *testing.T, l storage.Lock, bodies map[storage.MessageID][]byte) {
	q, err := l.Sequence()
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Sequence: %v", err)
		}
		return
	}
	defer q.Close()
	for _, id := range slices.Sorted(maps.Keys(bodies)) {
		got, e, err := q.Append(make([]byte, 0, 300_000), id)
		switch {
		case errors.Is(err, storage.ErrCorrupt):
		case err != nil:
			t.Errorf("message %s in sequence: %v", id, err)
		case !bytes.Equal(got[len(e.Trace):], bodies[id]):
			t.Errorf("message %s came back changed in sequence", id)
		}
	}
}

// A chunk that was changed so that Pebble's checksums fit is found by ours.
func TestAChangedRowIsFound(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	a := accountIn(t, s, "alice")
	id, err := storetest.Deliver(s, storetest.Body(200_000, "x"), a)
	if err != nil {
		t.Fatal(err)
	}
	var k [bodyKeyLen]byte
	v, closer, err := s.db.Get(putBodyKey(&k, id, 2))
	if err != nil {
		t.Fatal(err)
	}
	row := bytes.Clone(v)
	_ = closer.Close()
	l, err := s.LockMaildrop(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	for name, bad := range map[string][]byte{
		"flipped": append(bytes.Clone(row[:500]), append([]byte{row[500] ^ 1}, row[501:]...)...),
		"short":   row[:len(row)-1],
		"empty":   {},
		"head":    row[:3],
		"codec":   append([]byte{99}, row[1:]...),
	} {
		if err := s.db.Set(k[:], bad, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		m, err := l.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := storetest.ReadAll(m); !errors.Is(err, storage.ErrCorrupt) || len(got) != 2*chunkLen {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
		if _, err := l.Open(id); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: it is opened once more: %v", name, err)
		}
		s.damaged.ids, s.damaged.count = nil, atomic.Int32{} // as after a restart
	}
}
