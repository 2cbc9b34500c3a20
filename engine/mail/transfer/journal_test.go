package transfer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postrider/storage"
)

// A journal is cut at any octet: a Maildir is taken for imported only if its whole line is
// there, also after the journal was opened and written again. What is left of a line may be
// the name of another Maildir.
func TestAJournalThatIsCutNamesNoOtherMaildir(t *testing.T) {
	p, err := ParsePattern("%d/%n")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal")
	open := func() *Journal {
		t.Helper()
		j, err := OpenJournal(path, "/root", p)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	for _, name := range []string{"a/al", "a/alice", "a/aliceandbob"} {
		if err := j.begin(name); err != nil {
			t.Fatal(err)
		}
		if err := j.end(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		want := make(map[string]bool)
		for line := range strings.Lines(string(whole[:n])) {
			if name, ok := strings.CutPrefix(line, "done "); ok && strings.HasSuffix(name, "\n") {
				want[strings.TrimSuffix(name, "\n")] = true
			}
		}
		for _, more := range []string{"b/one", "b/two"} {
			j := open()
			if !maps.Equal(j.done, want) {
				t.Fatalf("cut at %d: %v, want %v", n, slices.Sorted(maps.Keys(j.done)), slices.Sorted(maps.Keys(want)))
			}
			if err := j.end(more); err != nil {
				t.Fatal(err)
			}
			want[more] = true
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// octetsOnce refuses what the fake store has with the same unique-id and the same octets, and
// gives another message no unique-id that one has, as a store does.
func octetsOnce(f *fake) func(*storage.Delivery, string) error {
	return func(d *storage.Delivery, body string) error {
		r := &d.Recipients[0]
		for r.UIDL != "" {
			i := slices.IndexFunc(f.messages, func(m stored) bool { return string(m.entry.UIDL) == r.UIDL })
			if i < 0 {
				return nil
			}
			if f.messages[i].body == body {
				return storage.ErrExists
			}
			r.UIDL, r.Else = r.Else, ""
		}
		return nil
	}
}

// An import is cut off after each message, without a word in the journal that the Maildir
// was imported. The next one stores each message once, also where two have the same unique-id
// in the list, where one of the list can't be kept, and where the list has got more meanwhile.
func TestAnImportThatIsCutStoresEachMessageOnce(t *testing.T) {
	files := map[string]string{"cur/1:2,S": letterOf("a"), "cur/2:2,S": letterOf("b"), "cur/3:2,S": letterOf("c"), "cur/4": letterOf("d"), "new/5": letterOf("e"), "cur/6": letterOf("b")}
	early := "3 V1 N9\n1 Ptwice :1\n2 Ptwice :2\n3 Pa\x01b :3\n4 :4\n6 Ptwice :6\n"
	later := early + "7 :5\n"
	for cut := range 7 {
		root, journal := t.TempDir(), filepath.Join(t.TempDir(), "journal")
		box := filepath.Join(root, "a.example", "u")
		write(t, box, files)
		write(t, box, map[string]string{"dovecot-uidlist": early})
		f := &fake{failAt: cut, stop: cut > 0}
		f.refuse = octetsOnce(f)
		k := &trunk{accounts: map[string]*fake{"u@a.example": f}}
		_, err := ImportTree(context.Background(), k.tree(t, root, "%d/%n", journal))
		if (err != nil) != (cut > 0) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		write(t, box, map[string]string{"dovecot-uidlist": later})
		f.failAt, f.stop = 0, false
		for range 2 {
			if _, err := ImportTree(context.Background(), k.tree(t, root, "%d/%n", journal)); err != nil {
				t.Fatalf("cut at %d, again: %v", cut, err)
			}
		}
		tree := k.tree(t, root, "%d/%n", journal)
		tree.Again = true
		if _, err := ImportTree(context.Background(), tree); err != nil {
			t.Fatalf("cut at %d, --again: %v", cut, err)
		}
		times := make(map[string]int)
		for _, m := range f.messages {
			times[m.body]++
		}
		if len(times) != 5 || len(f.messages) != 6 {
			t.Errorf("cut at %d: %d messages: %s", cut, len(f.messages), fmt.Sprint(uidls(f)))
		}
	}
}
