package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// keptRow puts a K row for a message that has its M row still: as if the
// deletion of one of them could not be read.
func keptRow(t *testing.T, s *Store, a storage.AccountID, id storage.MessageID) {
	t.Helper()
	var mk [maildropKeyLen]byte
	row, closer, err := s.db.Get(putMaildropKey(&mk, a, id))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	v := append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, row...)
	var k [keptKeyLen]byte
	if err := s.db.Set(putKeptKey(&k, a, id), v, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// A message that has the rows of a live one and of a deleted one is live, and no purge takes
// its body. One of which only the deleted row can be read is deleted.
func TestSalvageMakesAMessageLiveOrDeleted(t *testing.T) {
	mem := vfs.NewMem()
	s := openOn(t, mem)
	a, b := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	bodies := make(map[storage.MessageID][]byte)
	deliver := func(octets int, to ...storage.AccountID) storage.MessageID {
		t.Helper()
		body := storetest.Body(octets, "x")
		id, err := storetest.Deliver(s, body, to...)
		if err != nil {
			t.Fatal(err)
		}
		bodies[id] = body
		keptRow(t, s, a, id)
		return id
	}
	own, shared := deliver(100_000, a), deliver(500, a, b)
	unread := deliver(300, a)
	var k [maildropKeyLen]byte
	if err := s.db.Set(putMaildropKey(&k, a, unread), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sum, err := Salvage(t.Context(), SalvageOptions{Dir: "data", Out: "out", FS: mem, Report: func(storage.Fault) {}})
	if err != nil || sum.Messages != 3 || sum.Deleted != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	opts := testOptions(mem)
	opts.Dir = "out"
	if s, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	storetest.Clean(t, s)
	if got := deletedOf(t, s, a); len(got) != 1 || got[0] != unread {
		t.Errorf("deleted are %v", got)
	}
	if n := purgeAll(t, s); n != 1 {
		t.Errorf("%d messages were purged", n)
	}
	storetest.Clean(t, s)
	for _, account := range []storage.AccountID{a, b} {
		got := boxOf(t, s, account)
		for _, id := range []storage.MessageID{own, shared} {
			if want := account == a || id == shared; want != (got[id] != nil) || want && !bytes.Equal(got[id], bodies[id]) {
				t.Errorf("account %d: message %s has %d octets", account, id, len(got[id]))
			}
		}
	}
}

// noBlobs is a disk whose blob files can't be read while it lasts.
type noBlobs struct {
	err   error
	lasts atomic.Bool
}

func (n *noBlobs) MaybeError(op errorfs.Op) error {
	if n.lasts.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsRead && strings.HasSuffix(op.Path, ".blob") {
		return &errorOn{op, n.err}
	}
	return nil
}

func (n *noBlobs) String() string { return "no blobs" }

// rowsInBlobs makes a store on the disk with messages of an account. The rows of all but the
// first are so long that they are in blob files. harm is called before the store is closed.
func rowsInBlobs(t *testing.T, mem vfs.FS, harm func(s *Store, a storage.AccountID, ids []storage.MessageID) error) (a storage.AccountID) {
	t.Helper()
	s := openOn(t, mem)
	s.SetRetention(keeping)
	a = accountIn(t, s, "alice")
	random := rand.New(rand.NewPCG(1, 5))
	for i := range 4 {
		trace := []byte("Received: x\r\n")
		if i > 0 {
			trace = fmt.Appendf(nil, "Received: %x\r\n", noise(random, 2000))
		}
		done := make(chan error, 1)
		s.Deliver(&storage.Delivery{
			Draft: storetest.Draft(s, storetest.Body(100, "x")), Arrival: time.Now(), Size: 100,
			Recipients: []storage.Recipient{{Account: a, Trace: trace}},
			Done:       func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	ids, err := s.firstMessages(tagMaildrop, a, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(harm(s, a, ids), s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if len(names(t, mem, "")) == 0 || len(blobs(t, mem)) == 0 {
		t.Fatal("no row is in a blob file")
	}
	return a
}

func blobs(t *testing.T, mem vfs.FS) (found []string) {
	t.Helper()
	for _, n := range names(t, mem, "") {
		if path.Ext(n) == ".blob" {
			found = append(found, path.Join("data", n))
		}
	}
	return found
}

// removeAll deletes messages, which are kept then.
func removeAll(s *Store, a storage.AccountID, ids []storage.MessageID) error { return s.Remove(a, ids) }

// A purge that can't read a row now is tried again, and leaves no deleted message for ever.
func TestAPurgeWaitsForTheDisk(t *testing.T) {
	for _, kind := range []error{syscall.EIO, syscall.EMFILE} {
		mem := vfs.NewMem()
		a := rowsInBlobs(t, mem, removeAll)
		disk := &noBlobs{err: kind}
		s := openOn(t, errorfs.Wrap(mem, disk))
		disk.lasts.Store(true)
		for range 2 {
			if p, err := s.Purge(); !errors.Is(err, storage.ErrTemporary) || p.Mail.Messages != 0 {
				t.Errorf("%v: %+v, %v", kind, p, err)
			}
		}
		disk.lasts.Store(false)
		if n := len(deletedOf(t, s, a)); n != 4 {
			t.Errorf("%v: %d messages are kept", kind, n)
		}
		storetest.Clean(t, s)
		if n := purgeAll(t, s); n != 4 || s.Kept().Deleted != (storage.Quota{}) {
			t.Errorf("%v: %d messages went, %+v is kept", kind, n, s.Kept())
		}
		storetest.Clean(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// ruinBlobs damages all blob files.
func ruinBlobs(t *testing.T, mem vfs.FS) {
	t.Helper()
	for _, n := range blobs(t, mem) {
		octets := contents(t, mem, n)
		clear(octets[:len(octets)/2])
		overwrite(t, mem, n, octets)
	}
}

// A deleted message whose row is damaged keeps no other from being purged.
func TestAPurgePassesOverDamagedRows(t *testing.T) {
	for how, ruin := range map[string]func(*testing.T, vfs.FS){
		"damaged": ruinBlobs,
		"missing": func(t *testing.T, mem vfs.FS) {
			t.Helper()
			for _, n := range blobs(t, mem) {
				if err := mem.Remove(n); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		mem := vfs.NewMem()
		rowsInBlobs(t, mem, removeAll)
		ruin(t, mem)
		s := openOn(t, mem)
		for _, want := range []int64{1, 0} {
			if p, err := s.Purge(); err != nil || p.Mail.Messages != want || p.More {
				t.Errorf("%s: %+v, %v; want %d messages", how, p, err, want)
			}
		}
		if n := s.Kept().Deleted.Messages; n != 3 {
			t.Errorf("%s: %d messages are kept", how, n)
		}
		_ = s.Close()
	}
}
