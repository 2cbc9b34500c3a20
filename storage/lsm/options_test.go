package lsm

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage/storetest"
)

// names are the files of a store whose names begin with a prefix.
func names(t *testing.T, fsys vfs.FS, prefix string) (found []string) {
	t.Helper()
	all, err := fsys.List(testOptions(fsys).Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if strings.HasPrefix(n, prefix) {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found
}

func writeFile(t *testing.T, fsys vfs.FS, name string, text []byte) {
	t.Helper()
	f, err := fsys.Create(fsys.PathJoin(testOptions(fsys).Dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Write(text); err != nil {
		t.Fatal(err)
	}
	if err = f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store opens whatever is in its OPTIONS file: one damaged octet anywhere, half of
// it, or nothing like it. What can't be read is kept under another name.
func TestADamagedOptionsFileKeepsNoStoreFromOpening(t *testing.T) {
	mem := vfs.NewMem()
	s := openOn(t, mem)
	a := accountIn(t, s, "alice")
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	aside := 0
	reopen := func(what string, at int, damage func([]byte) []byte) {
		t.Helper()
		found := names(t, mem, "OPTIONS-")
		last := found[len(found)-1]
		text, err := readFile(mem, mem.PathJoin(testOptions(mem).Dir, last))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, mem, last, damage(slices.Clone(text)))
		s, err := Open(testOptions(mem))
		if err != nil {
			t.Fatalf("%s at %d of %d octets: %v", what, at, len(text), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if kept := names(t, mem, damagedPrefix); len(kept) > 0 {
			aside++
			for _, n := range kept {
				if err := mem.Remove(mem.PathJoin(testOptions(mem).Dir, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	found := names(t, mem, "OPTIONS-")
	text, err := readFile(mem, mem.PathJoin(testOptions(mem).Dir, found[len(found)-1]))
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 29
	}
	for i := 0; i < len(text); i += step {
		reopen("a flipped bit", i, func(b []byte) []byte { b[i%len(b)] ^= 1 << (i % 8); return b })
	}
	reopen("cut", 0, func(b []byte) []byte { return b[:len(b)/2] })
	reopen("empty", 0, func([]byte) []byte { return nil })
	reopen("other", 0, func(b []byte) []byte { return []byte(strings.Repeat("\x00\xff[]=\n", len(b))) })
	reopen("other comparer", 0, func(b []byte) []byte {
		return []byte(strings.Replace(string(b), "comparer=", "comparer=not-", 1))
	})
	if aside < 2 {
		t.Errorf("%d damaged files were kept", aside)
	}
	s = openOn(t, mem)
	defer s.Close()
	if got := storetest.Contents(t, s, a); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
	storetest.Clean(t, s)
}

// The content of files that only exist (markers, which are read by name, and LOCK) is
// never read.
func TestTheContentOfMarkersIsOfNoInterest(t *testing.T) {
	mem := vfs.NewMem()
	if err := openOn(t, mem).Close(); err != nil {
		t.Fatal(err)
	}
	files := append(names(t, mem, "marker."), "LOCK")
	if len(files) < 3 {
		t.Fatalf("the store has %q", files)
	}
	for _, name := range files {
		writeFile(t, mem, name, []byte("\xff\x00 anything"))
	}
	s := openOn(t, mem)
	storetest.Clean(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
