package lsm

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"postrider/storage"
	"postrider/storage/storetest"
)

func TestOpenOnTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := Open(Options{Dir: dir, Log: quiet, FreeFloor: 1 << 20, BallastSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("data directory: %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ballast")); err != nil {
		t.Error(err)
	}
	_, err = Open(Options{Dir: dir, Log: quiet})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v", err)
	}
	t.Log(err)
	a := accountIn(t, s, "alice")
	if _, err := storetest.Deliver(s, []byte("x\r\n"), a); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: file, Log: quiet})
	if err == nil {
		t.Error("a file was opened as a store")
	}
	t.Log(err)
	_, err = Open(Options{Dir: "/proc/nothing/here", Log: quiet})
	if err == nil {
		t.Error("a store was made under /proc")
	}
	t.Log(err)
}

// Another floor counts at once, with what is free now.
func TestSetFreeFloor(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), Log: quiet, FreeFloor: 1, BallastSize: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if h := s.Health(); h.Err != nil || h.FreeBytes <= 0 {
		t.Fatalf("%+v", h)
	}
	s.SetFreeFloor(1 << 60)
	if h := s.Health(); !errors.Is(h.Err, storage.ErrFull) || h.FreeBytes >= 0 {
		t.Errorf("below the new floor: %+v", h)
	}
	s.SetFreeFloor(1)
	if h := s.Health(); h.Err != nil || h.FreeBytes <= 0 {
		t.Errorf("above the old floor again: %+v", h)
	}
}
