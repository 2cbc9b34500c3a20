package lsm

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// A store is there once Open has made it, and asking for it makes none.
func TestExists(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	f := func(want bool) {
		t.Helper()
		if got, err := Exists(dir); got != want || err != nil {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	f(false)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f(false)
	if err := os.WriteFile(filepath.Join(dir, "letter.doc"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(false)
	if found, err := os.ReadDir(dir); len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
	s, err := Open(Options{Dir: dir, Log: slog.New(slog.DiscardHandler), BallastSize: -1, CacheSize: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	f(true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f(true)
	if got, err := Exists(filepath.Join(dir, "letter.doc")); got || err == nil {
		t.Errorf("a file: %v %v", got, err)
	}
}
