package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// noReads is a disk on which one kind of files can't be read while it lasts.
type noReads struct {
	ext   string
	err   error
	lasts atomic.Bool
}

func (n *noReads) MaybeError(op errorfs.Op) error {
	if n.lasts.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsRead && strings.HasSuffix(op.Path, n.ext) {
		return &errorOn{op, n.err}
	}
	return nil
}

func (n *noReads) String() string { return "no reads" }

// deliverTraced delivers a message with a trace, which is in its M row.
func deliverTraced(t *testing.T, s *Store, a storage.AccountID, trace []byte) {
	t.Helper()
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
		deliverTraced(t, s, a, trace)
	}
	ids, err := s.messagesFrom(tagMaildrop, a, 0, 100)
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
		disk := &noReads{ext: ".blob", err: kind}
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

// damageRows makes rows of messages of an account unreadable, all but the last ones.
func damageRows(t *testing.T, s *Store, tag byte, a storage.AccountID, whole int) {
	t.Helper()
	ids, err := s.messagesFrom(tag, a, 0, 1000)
	if err != nil || len(ids) <= whole {
		t.Fatalf("%d messages, %v", len(ids), err)
	}
	for _, id := range ids[:len(ids)-whole] {
		var k [maildropKeyLen]byte
		putMaildropKey(&k, a, id)
		k[0] = tag
		if err := s.db.Set(k[:], []byte("damaged"), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
}

// left counts the rows of an account of a kind.
func left(t *testing.T, s *Store, tag byte, a storage.AccountID) int {
	t.Helper()
	ids, err := s.messagesFrom(tag, a, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(ids)
}

// However many rows of an account that is deleted for good are damaged, all that can be read
// goes, its own and that of others, and the store opens.
func TestDamagedRowsOfADeletedAccountBlockNothing(t *testing.T) {
	const damaged, whole = purgeStep + 40, 5
	mem := vfs.NewMem()
	s := openOn(t, mem)
	s.SetRetention(keeping)
	a, b, later := accountIn(t, s, "alice"), accountIn(t, s, "bob"), accountIn(t, s, "carol")
	for _, account := range []storage.AccountID{a, b, later} {
		var ids []storage.MessageID
		for range 2 * (damaged + whole) {
			id, err := storetest.Deliver(s, storetest.Body(10, "x"), account)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := s.Remove(account, ids[damaged+whole:]); err != nil {
			t.Fatal(err)
		}
	}
	for _, account := range []storage.AccountID{a, later} {
		damageRows(t, s, tagMaildrop, account, whole)
		damageRows(t, s, tagKept, account, whole)
	}
	if err := errors.Join(s.RemoveAccount(a), s.RemoveAccount(b)); err != nil {
		t.Fatal(err)
	}
	s.SetRetention(storage.Retention{DeletedMail: day})
	gone := 0
	for {
		p, err := s.Purge()
		if err != nil {
			t.Fatal(err)
		}
		if gone += len(p.Accounts); !p.More {
			break
		}
	}
	if gone != 2 || left(t, s, tagMaildrop, a) != damaged || left(t, s, tagKept, a) != damaged || left(t, s, tagMaildrop, b)+left(t, s, tagKept, b) != 0 {
		t.Errorf("%d accounts are gone; %d and %d messages are left, and %d and %d", gone,
			left(t, s, tagMaildrop, a), left(t, s, tagKept, a), left(t, s, tagMaildrop, b), left(t, s, tagKept, b))
	}

	// A crash cuts a removal off: the next start goes on with it.
	s.SetRetention(keeping)
	if err := s.RemoveAccount(later); err != nil {
		t.Fatal(err)
	}
	if _, err := s.doom(later); err != nil {
		t.Fatal(err)
	}
	if n := left(t, s, tagMaildrop, later); n != damaged+whole {
		t.Errorf("%d messages are there before the start", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, mem)
	defer s.Close()
	if n, m := left(t, s, tagMaildrop, later), left(t, s, tagKept, later); n != damaged || m != damaged {
		t.Errorf("%d and %d messages are left after the start", n, m)
	}
	var k [accountKeyLen]byte
	if _, _, err := s.db.Get(putAccountKey(&k, tagDoomed, later)); !errors.Is(err, pebble.ErrNotFound) {
		t.Errorf("the removal goes on for ever: %v", err)
	}
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), accountIn(t, s, "dave")); err != nil {
		t.Error(err)
	}
}

// A file that has the keys of the mail of a deleted account, and can't be read, stops no purge.
func TestADamagedFileOfADeletedAccountStopsNoPurge(t *testing.T) {
	mem := vfs.NewMem()
	s := openOn(t, mem)
	a := accountIn(t, s, "alice")
	random := rand.New(rand.NewPCG(1, 6))
	for range 200 {
		deliverTraced(t, s, a, fmt.Appendf(nil, "Received: %x\r\n", noise(random, 450)))
	}
	if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	disk := &noReads{ext: ".sst", err: fs.ErrNotExist}
	var log bytes.Buffer
	opts := testOptions(errorfs.Wrap(mem, disk))
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.SetRetention(storage.Retention{RemovedAccounts: day})
	if err := s.RemoveAccount(a); err != nil {
		t.Fatal(err)
	}
	if _, err := s.doom(a); err != nil {
		t.Fatal(err)
	}
	s.purging.doomed = &clearing{account: a}
	disk.lasts.Store(true)
	if p, err := s.Purge(); err != nil || !p.More {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := s.Purge(); err != nil || p.More {
		t.Errorf("then %+v, %v", p, err)
	}
	disk.lasts.Store(false)
	if !strings.Contains(log.String(), "the mail of an account that was deleted can't be read") {
		t.Errorf("the log is %q", &log)
	}
	if left(t, s, tagMaildrop, a) == 0 {
		t.Error("the messages are gone")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openOn(t, mem)
	defer s.Close()
	if left(t, s, tagMaildrop, a) != 0 {
		t.Error("the start does not go on with the deletion")
	}
	storetest.Clean(t, s)
}
