package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// quiet is a log that drops everything.
var quiet = slog.New(slog.DiscardHandler)

// testOptions are small, so that a test meets flushes and new WALs.
func testOptions(fs vfs.FS) Options {
	return Options{Dir: "data", FS: fs, Log: quiet, CacheSize: 8 << 20, MemTableSize: 1 << 20}
}

func openOn(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func accountIn(t testing.TB, s *Store, name string) storage.AccountID {
	t.Helper()
	if !s.HostsDomain("example.org") {
		if err := s.AddDomain("example.org"); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.AddAccount(storage.NewAccount{Name: name, Domain: "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestContract(t *testing.T) {
	for _, fs := range []string{"disk", "memory"} {
		t.Run(fs, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storage.Store {
				if fs == "memory" {
					return openOn(t, vfs.NewMem())
				}
				s, err := Open(Options{Dir: t.TempDir(), Log: quiet, FreeFloor: 1 << 20, BallastSize: -1, Compression: "none"})
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

func TestDeliverListOpenExpunge(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openOn(t, fs)
	alice, bob := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	small := []byte("Subject: x\r\n\r\nhello\r\n")
	large := []byte(strings.Repeat("0123456789abcdef\r\n", 20_000))
	for _, body := range [][]byte{small, large} {
		id, err := storetest.Deliver(s, body, alice, bob)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, fs)
		for _, a := range []storage.AccountID{alice, bob} {
			l, err := s.LockMaildrop(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.LockMaildrop(a); !errors.Is(err, storage.ErrInUse) {
				t.Fatalf("second lock: %v", err)
			}
			list, err := l.List(10)
			if err != nil || list.Len() != 1 {
				t.Fatalf("List: %d messages, %v", list.Len(), err)
			}
			if got, octets := list.At(0); got != id || octets != int64(len(body)+len(storetest.Trace(a))) {
				t.Fatalf("At(0) = %s, %d", got, octets)
			}
			m, err := l.Open(id)
			if err != nil {
				t.Fatal(err)
			}
			got, err := storetest.ReadAll(m)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("body of %d octets, want %d, %v", len(got), len(body), err)
			}
			if err := l.Expunge([]storage.MessageID{id}); err != nil {
				t.Fatal(err)
			}
			l.Release()
			if n, octets, err := s.Usage(a); n != 0 || octets != 0 || err != nil {
				t.Fatalf("Usage after Expunge: %d, %d, %v", n, octets, err)
			}
		}
	}
	if err := scan(s.db, []byte{tagBody}, func(k, _ []byte) (bool, error) {
		t.Errorf("body row %x is left", k)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestALaterFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	if err := s.db.Set(keyFormat, []byte{0, 0, 0, 0, 0, 0, 0, FormatVersion + 1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(fs)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("format %d", FormatVersion+1)) {
		t.Errorf("Open of a later format: %v", err)
	}
}

func TestAClosedStoreRefuses(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	a := accountIn(t, s, "alice")
	d := storetest.Draft(s, storetest.Body(200_000, "late"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.DeliverDraft(s, d, 200_000, a); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Deliver: %v", err)
	}
	if err := s.AddDomain("x.example"); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("AddDomain: %v", err)
	}
	if _, err := s.LockMaildrop(a); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("LockMaildrop: %v", err)
	}
	if err := s.Admit(0); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Admit: %v", err)
	}
	if err := s.Close(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
}
