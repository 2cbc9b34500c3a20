package lsm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// importOne delivers a message with a unique-id.
func importOne(s *Store, a storage.AccountID, body []byte, uidl string) (storage.MessageID, error) {
	done := make(chan error, 1)
	d := &storage.Delivery{Draft: storetest.Draft(s, body), Arrival: time.Now(), Size: int64(len(body)), Recipients: []storage.Recipient{{Account: a, Trace: storetest.Trace(a), UIDL: uidl}},
		Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err }}
	s.Deliver(d)
	return d.Draft.ID(), <-done
}

// A store of the format before unique-ids opens, and takes them.
func TestAStoreWithoutUniqueIDsOpens(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	a := accountIn(t, s, "alice")
	id, err := storetest.Deliver(s, storetest.Body(100, "old"), a)
	if err == nil {
		err = s.db.Set(keyFormat, []byte{0, 0, 0, 0, 0, 0, 0, 3}, pebble.Sync)
	}
	if err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if v, err := s.number(keyFormat); v != FormatVersion || err != nil {
		t.Errorf("format %d, %v", v, err)
	}
	imported, err := importOne(s, a, storetest.Body(100, "new"), "UID1-2")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if err := s.EachEntry(a, func(e storage.Entry) bool {
		got += fmt.Sprintf("%s %s\n", e.ID, e.AppendUIDL(nil))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s %s\n%s UID1-2\n", id, id, imported); got != want {
		t.Errorf("entries\n%swant\n%s", got, want)
	}
}

// Check finds an I row that is missing, that leads elsewhere, and that can't be read.
func TestCheckFindsWrongUniqueIDs(t *testing.T) {
	f := func(want string, spoil func(s *Store, a storage.AccountID, id storage.MessageID) error) {
		t.Helper()
		s := openOn(t, vfs.NewMem())
		defer s.Close()
		a := accountIn(t, s, "alice")
		id, err := importOne(s, a, storetest.Body(100, "x"), "UID1-2")
		if err == nil {
			_, err = importOne(s, a, storetest.Body(100, "y"), "UID2-2")
		}
		if err == nil {
			err = spoil(s, a, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		if _, err := s.Check(t.Context(), func(f storage.Fault) { found = append(found, f.Text) }); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(found, "\n"), want) || want == "" && len(found) > 0 {
			t.Errorf("found %q, want %q", found, want)
		}
	}
	number := func(n storage.MessageID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	f("", func(*Store, storage.AccountID, storage.MessageID) error { return nil })
	f("has no row", func(s *Store, a storage.AccountID, _ storage.MessageID) error {
		return s.db.Delete(uidlKey(a, "UID1-2"), pebble.Sync)
	})
	f("is that of message", func(s *Store, a storage.AccountID, id storage.MessageID) error {
		return s.db.Set(uidlKey(a, "UID2-2"), number(id), pebble.Sync)
	})
	f("leads to a message with the unique-id \"UID1-2\"", func(s *Store, a storage.AccountID, id storage.MessageID) error {
		return s.db.Set(uidlKey(a, "UID3-2"), number(id), pebble.Sync)
	})
	f("not there", func(s *Store, a storage.AccountID, id storage.MessageID) error {
		return s.db.Set(uidlKey(a, "UID3-2"), number(id-1), pebble.Sync)
	})
	f("can't be read", func(s *Store, a storage.AccountID, _ storage.MessageID) error {
		return s.db.Set(uidlKey(a, "UID1-2"), []byte("x"), pebble.Sync)
	})
}

// A row with a unique-id comes back, and not when it is cut or says what it does not have.
func TestEntriesWithUniqueIDs(t *testing.T) {
	for _, trace := range []string{"", "Return-Path: <>\r\n"} {
		for _, uidl := range []string{"", "x", strings.Repeat("y", storage.MaxUIDL)} {
			e := entry{flags: entryWireForm, wire: 10, size: 9, chunks: 1, trace: []byte(trace), uidl: []byte(uidl)}
			v := e.appendTo(nil)
			var got entry
			if err := got.parse(v); err != nil || string(got.trace) != trace || string(got.uidl) != uidl || got.flags != e.flags || got.octets() != 9+int64(len(trace)) {
				t.Errorf("%+v came back as %+v, %v", e, got, err)
			}
			if v[1] ^= entryUIDL; got.parse(v) == nil {
				t.Errorf("%+v with the wrong flag came back as %+v", e, got)
			}
			v[1] ^= entryUIDL
			for n := range v {
				if uidl != "" && n > entryHeadLen+len(trace) {
					continue // a shorter unique-id
				}
				if got.parse(v[:n]) == nil {
					t.Errorf("%d octets of %+v came back as %+v", n, e, got)
				}
			}
			if uidl != "" && got.parse(append(v, make([]byte, storage.MaxUIDL)...)) == nil {
				t.Errorf("a unique-id that is too long came back")
			}
		}
	}
}

// Listings that are kept have the unique-ids, and count by what they take.
func TestKeptListingsHaveUniqueIDs(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	a := accountIn(t, s, "alice")
	for n := range 3 * keptListing {
		uidl := fmt.Sprintf("UID%d-%s", n, strings.Repeat("x", 50))
		if _, err := importOne(s, a, storetest.Body(10, "x"), uidl); err != nil {
			t.Fatal(err)
		}
		l, err := s.hold(a)
		if err != nil {
			t.Fatal(err)
		}
		list, err := l.List(1000)
		l.Release()
		if err != nil || list.Len() != n+1 || string(list.AppendUIDL(nil, n)) != uidl {
			t.Fatalf("message %d is %q, %v", n, list.AppendUIDL(nil, n), err)
		}
	}
	if kept := s.listings.get(a); kept == nil || costOf(kept) < 4*kept.Len() {
		t.Errorf("%+v is kept", kept)
	}
}
