package lsm

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

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
