package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"postrider/codec/uidlist"
	"postrider/storage"
)

// uidls are the subjects of the stored messages, each with the unique-id that it has.
func uidls(f *fake) string {
	var all []string
	for i, subject := range strings.Fields(subjects(f)) {
		all = append(all, subject+"="+string(f.messages[i].entry.UIDL))
	}
	return strings.Join(all, " ")
}

// Which unique-id a message of a Maildir gets: that of the map, what Dovecot has from
// another server, X-UIDL if asked for, Dovecot's format, Courier's list, the file's name.
func TestImport_uniqueIDsOfMaildirs(t *testing.T) {
	format := func(s string) *uidlist.Format {
		f, err := uidlist.ParseFormat(s)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := func(o UIDLs, want string, lists map[string]string) {
		t.Helper()
		dir, to := t.TempDir(), new(fake)
		write(t, dir, map[string]string{"cur/100.M1P1.h,S=9:2,S": letterOf("a"), "cur/101.M1P1.h:2,": "X-UIDL: field-b\n" + letterOf("b"), "new/102.M1P1.h": letterOf("c")})
		write(t, dir, lists)
		r, err := Import(context.Background(), to, account, dir, Options{Format: Maildir, UIDLs: o})
		if got := uidls(to); err != nil || got != want {
			t.Errorf("got %q, want %q (%v, %s)", got, want, err, said(r))
		}
	}
	dovecot := map[string]string{"dovecot-uidlist": "3 V1700000000 N9 Gabc\n4 G0a1b :101.M1P1.h:2,S\n7 W12 PUID3-5 :100.M1P1.h,S=9\n"}
	f(UIDLs{}, "a=100.M1P1.h,S=9 b=101.M1P1.h c=102.M1P1.h", nil)
	f(UIDLs{Fields: true}, "a=100.M1P1.h,S=9 b=field-b c=102.M1P1.h", nil)
	f(UIDLs{}, "b=000000046553f100 a=UID3-5 c=102.M1P1.h", dovecot)
	f(UIDLs{Fields: true}, "b=field-b a=UID3-5 c=102.M1P1.h", dovecot)
	f(UIDLs{Format: format("%v.%u")}, "b=1700000000.4 a=UID3-5 c=102.M1P1.h", dovecot)
	f(UIDLs{Format: format("%g")}, "b=0a1b a=UID3-5 c=102.M1P1.h", dovecot)
	f(UIDLs{Format: format("x%f")}, "a=x100.M1P1.h,S=9 b=x101.M1P1.h c=x102.M1P1.h", nil)
	f(UIDLs{Map: map[string]string{"100.M1P1.h,S=9": "mapped"}, Fields: true}, "b=field-b a=mapped c=102.M1P1.h", dovecot)
	f(UIDLs{}, "c=UID1-1700000000 a=UID9 b=101.M1P1.h", map[string]string{"courierpop3dsizelist": "/2 8 1700000000\n102.M1P1.h 13 1:1700000000\ngone 1 2:3\n100.M1P1.h,S=9:2,S 14 9:0\n101.M1P1.h:2, 9 0:0\n"})
	dovecot["courierpop3dsizelist"] = "/2 8 9\n102.M1P1.h 13 1:9\n"
	f(UIDLs{}, "b=000000046553f100 a=UID3-5 c=102.M1P1.h", dovecot)
	dovecot["dovecot-uidlist"] = "3 V1700000000 N9\n4 O7 :101.M1P1.h\n7 P O3 :100.M1P1.h,S=9\n8 :102.M1P1.h\n"
	f(UIDLs{}, "a=100.M1P1.h,S=9 b=000000046553f100 c=000000086553f100", dovecot)
	long := strings.Repeat("x", 71)
	dovecot["dovecot-uidlist"] = "3 V1700000000 N9\n4 P" + long + " :101.M1P1.h\n"
	f(UIDLs{}, "b=101.M1P1.h a=100.M1P1.h,S=9 c=102.M1P1.h", dovecot)
}

// Without the list clients would fetch all again: nothing is stored.
func TestImport_aListThatIsNotUnderstood(t *testing.T) {
	for _, name := range []string{"dovecot-uidlist", "courierpop3dsizelist"} {
		dir, to := t.TempDir(), new(fake)
		write(t, dir, map[string]string{"cur/100.M1P1.h:2,S": letterOf("a"), name: "\x00\x00"})
		_, err := Import(context.Background(), to, account, dir, Options{Format: Maildir})
		if !errors.Is(err, ErrData) || len(to.messages) > 0 || !strings.Contains(err.Error(), name+": line 1") {
			t.Errorf("%s: %v, %d messages", name, err, len(to.messages))
		}
	}
	dir, to := t.TempDir(), new(fake)
	write(t, dir, map[string]string{"cur/100.M1P1.h:2,S": letterOf("a"), "dovecot-uidlist": "3 V1 N9\n1 :100.M1P1.h\n2 :10"})
	r, err := Import(context.Background(), to, account, dir, Options{Format: Maildir})
	if err != nil || uidls(to) != "a=0000000100000001" {
		t.Errorf("%q, %v, %s", uidls(to), err, said(r))
	}
	write(t, dir, map[string]string{"dovecot-uidlist": "3 V1 N9\n1 :100.M1P1.h\nx\n"})
	if r, err = Import(context.Background(), to, account, dir, Options{Format: Maildir}); err != nil || !strings.Contains(said(r), "has lines that are not understood") {
		t.Errorf("%v, %s", err, said(r))
	}
}

func TestImport_uniqueIDsOfMbox(t *testing.T) {
	dir, to := t.TempDir(), new(fake)
	box := ""
	for _, name := range []string{"a", "b", "c"} {
		box += "From x@y Tue Feb  6 07:08:09 2024\nX-UIDL: of-" + name + "\n" + letterOf(name) + "\n"
	}
	write(t, dir, map[string]string{"box": box, "map": "2 mapped\n"})
	m, err := ReadUIDLMap(filepath.Join(dir, "map"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Import(context.Background(), to, account, filepath.Join(dir, "box"), Options{Format: Mbox, UIDLs: UIDLs{Map: m}}); err != nil || uidls(to) != "a=of-a b=mapped c=of-c" {
		t.Errorf("%q, %v", uidls(to), err)
	}
	if _, err := ReadUIDLMap(filepath.Join(dir, "box")); !errors.Is(err, ErrData) {
		t.Errorf("an mbox file as a map: %v", err)
	}
}

// What was there already, and what got another unique-id, is told.
func TestImport_conflictsOfUniqueIDs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"cur/1:2,S": letterOf("a"), "cur/2:2,S": letterOf("b"), "cur/3:2,S": letterOf("c"), "cur/4": letterOf("d"),
		"dovecot-uidlist": "3 V1 N9\n1 Pthere :1\n2 Ptaken :2\n3 Pa\x01b :3\n4 :4\n"})
	to := &fake{conflict: func(uidl string) (string, error) {
		switch uidl {
		case "there":
			return "", storage.ErrExists
		case "taken":
			return "", nil
		}
		return uidl, nil
	}}
	r, err := Import(context.Background(), to, account, dir, Options{Format: Maildir})
	if err != nil || uidls(to) != "b=2 c=3 d=0000000400000001" || r.Messages != 3 {
		t.Errorf("%q, %v", uidls(to), err)
	}
	for _, want := range []string{"1 message is in the maildrop already", "1 message gets another unique-id, since another message", "1 message gets another unique-id, since its own is not"} {
		if !strings.Contains(said(r), want) {
			t.Errorf("%q is not in %s", want, said(r))
		}
	}
}

// The unique-ids of an export come back, both the ones that messages came with and ids.
func TestRoundTrip_keepsUniqueIDs(t *testing.T) {
	for _, format := range []Format{RawText, Maildir, EML} {
		from, to, dir := filled(letterOf("a"), letterOf("b"), letterOf("c")), new(fake), t.TempDir()
		from.messages[1].entry.UIDL = []byte("0000000400000001")
		o := Options{Format: format}
		if _, err := Export(context.Background(), from, account, dir, o); err != nil {
			t.Fatal(err)
		}
		if r, err := Import(context.Background(), to, account, dir, o); err != nil || len(r.Passed) > 0 {
			t.Fatalf("%v, %s", err, said(r))
		}
		ids := [2]storage.MessageID{from.messages[0].entry.ID, from.messages[2].entry.ID}
		if want := fmt.Sprintf("a=%s b=0000000400000001 c=%s", ids[0], ids[1]); uidls(to) != want {
			t.Errorf("format %d: %q, want %q", format, uidls(to), want)
		}
	}
}

// forest makes a tree of Maildirs of n accounts in two domains.
func forest(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	for i := range n {
		domain := []string{"a.example", "b.example"}[i%2]
		write(t, root, map[string]string{
			fmt.Sprintf("%s/u%d/Maildir/cur/1.h:2,S", domain, i): letterOf("one"),
			fmt.Sprintf("%s/u%d/Maildir/new/2.h", domain, i):     letterOf("two"),
		})
	}
	return root
}

// trunk is a store of many accounts.
type trunk struct {
	mu       sync.Mutex
	accounts map[string]*fake
	journal  *Journal // the one that was opened last
}

func (k *trunk) tree(t *testing.T, root, pattern, journal string) *Tree {
	t.Helper()
	p, err := ParsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if k.journal != nil {
		if err := k.journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j, err := OpenJournal(journal, root, p)
	if err != nil {
		t.Fatal(err)
	}
	k.journal = j
	names := make(map[storage.AccountID]*fake)
	return &Tree{Root: root, Pattern: p, Workers: 3, Journal: j,
		NewInbox: func() (storage.Inbox, func(), error) { return &branch{k: k, by: names}, func() {}, nil },
		Account: func(m Mailbox) (storage.Account, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			f := k.accounts[m.String()]
			if f == nil {
				return storage.Account{}, storage.ErrNotFound
			}
			id := storage.AccountID(len(names) + 1)
			names[id] = f
			return storage.Account{ID: id}, nil
		},
		Have: func(id storage.AccountID) (map[string]storage.MessageID, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			have := make(map[string]storage.MessageID)
			for _, m := range names[id].messages {
				have[string(m.entry.UIDL)] = m.entry.ID
			}
			return have, nil
		},
		Change: func(id storage.AccountID, from, to string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			for i, m := range names[id].messages {
				if string(m.entry.UIDL) == from {
					names[id].messages[i].entry.UIDL = []byte(to)
					return nil
				}
			}
			return storage.ErrNotFound
		}}
}

// branch is a worker's Inbox.
type branch struct {
	fake
	k  *trunk
	by map[storage.AccountID]*fake
}

func (b *branch) Deliver(d *storage.Delivery) {
	b.k.mu.Lock()
	f := b.by[d.Recipients[0].Account]
	b.k.mu.Unlock()
	f.Deliver(d)
}

// A tree is imported once, goes on after it was interrupted, and reads new mail again.
func TestImportTree(t *testing.T) {
	root, journal := forest(t, 10), filepath.Join(t.TempDir(), "journal")
	write(t, root, map[string]string{"a.example/file": "", "a.example/empty/x": "", "a.example/u0/Maildir/.Sent/cur/1": "x", "c.example/strange/Maildir/cur/1": letterOf("x"), "a.example/.hidden/Maildir/cur/1": "x"})
	if err := os.Symlink("a.example", filepath.Join(root, "link.example")); err != nil {
		t.Fatal(err)
	}
	k := &trunk{accounts: make(map[string]*fake)}
	for i := range 10 {
		k.accounts[fmt.Sprintf("u%d@%s", i, []string{"a.example", "b.example"}[i%2])] = new(fake)
	}
	var report strings.Builder
	tree := k.tree(t, root, "%d/%n/Maildir", journal)
	tree.Report = &report
	ctx, cancel := context.WithCancel(context.Background())
	tree.Progress = func(n TreeCount) {
		if n.Done == 4 {
			cancel()
		}
	}
	r, err := ImportTree(ctx, tree)
	if !errors.Is(err, context.Canceled) || r.Done < 4 || r.Done > 7 || r.Failed > 0 {
		t.Fatalf("%+v, %v", r.TreeCount, err)
	}
	before := r.Done
	f, err := os.OpenFile(journal, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "done a.example/u") // a crash in the middle of a line
	f.Close()
	for _, f := range k.accounts { // what was stored has no second copy
		f.conflict = conflictsOf(f)
	}
	tree = k.tree(t, root, "%d/%n/Maildir", journal)
	tree.Report = &report
	r, err = ImportTree(context.Background(), tree)
	if err != nil || r.Done+before != 10 || r.Before != before || r.NoAccount != 1 || r.Found != 11 || r.Failed > 0 {
		t.Fatalf("%+v, %v", r.TreeCount, err)
	}
	all := said(Result{Passed: r.Passed})
	for _, want := range []string{"1 Maildir has no account here and is skipped: c.example/strange/Maildir", "1 link is skipped: link.example", "1 folder of the tree has no Maildir where the pattern wants one: a.example/empty/Maildir",
		"2 files or folders of the tree do not fit the pattern and are skipped: a.example/.hidden, a.example/file"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	for _, want := range []string{"c.example/strange/Maildir: Maildir has no account", "a.example/u0/Maildir: .Sent: folder is skipped"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("%q is not in\n%s", want, &report)
		}
	}
	write(t, root, map[string]string{"b.example/u3/Maildir/new/3.h": letterOf("three"), "b.example/u1/Maildir/dovecot-uidlist": "3 V1 N9\n1 :1.h\n"})
	tree = k.tree(t, root, "%d/%n/Maildir", journal)
	tree.Again = true
	if r, err = ImportTree(context.Background(), tree); err != nil || r.Messages != 1 || r.Done != 10 || !strings.Contains(said(Result{Passed: r.Passed}), "1 message of the maildrop gets the unique-id") {
		t.Errorf("again: %+v, %v", r.TreeCount, err)
	}
	for name, f := range k.accounts {
		want := "one=1.h two=2.h"
		if name == "u3@b.example" {
			want += " three=3.h"
		}
		if name == "u1@b.example" {
			want = "one=0000000100000001 two=2.h"
		}
		if got := uidls(f); got != want {
			t.Errorf("%s has %q", name, got)
		}
	}
}

// conflictsOf refuses what the store has already.
func conflictsOf(f *fake) func(string) (string, error) {
	return func(uidl string) (string, error) {
		for _, m := range f.messages {
			if string(m.entry.UIDL) == uidl {
				return "", storage.ErrExists
			}
		}
		return uidl, nil
	}
}

// A Maildir that fails does not stop the others, and is tried again; a full disk stops all.
func TestImportTree_failures(t *testing.T) {
	root, journal := forest(t, 6), filepath.Join(t.TempDir(), "journal")
	k := &trunk{accounts: make(map[string]*fake)}
	for i := range 6 {
		k.accounts[fmt.Sprintf("u%d@%s", i, []string{"a.example", "b.example"}[i%2])] = new(fake)
	}
	write(t, root, map[string]string{"a.example/u2/Maildir/dovecot-uidlist": "?"})
	r, err := ImportTree(context.Background(), k.tree(t, root, "/%d/%n/Maildir/", journal))
	if !errors.Is(err, ErrData) || r.Done != 5 || r.Failed != 1 || !strings.Contains(err.Error(), "1 Maildir could not be imported: u2@a.example:") {
		t.Errorf("%+v, %v", r.TreeCount, err)
	}
	k.accounts["u2@a.example"].conflict = func(string) (string, error) { return "", fmt.Errorf("%w: really", storage.ErrFull) }
	write(t, root, map[string]string{"a.example/u2/Maildir/dovecot-uidlist": "3 V1 N1\n"})
	if r, err = ImportTree(context.Background(), k.tree(t, root, "/%d/%n/Maildir/", journal)); !errors.Is(err, storage.ErrFull) || r.Done != 0 || r.Before != 5 {
		t.Errorf("%+v, %v", r.TreeCount, err)
	}
	p, err := ParsePattern("%n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(journal, root, p); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("two imports with one journal: %v", err)
	}
	if err := k.journal.Close(); err != nil {
		t.Fatal(err)
	}
	k.journal = nil
	if _, err := OpenJournal(journal, root, p); err == nil || !strings.Contains(err.Error(), "another import") {
		t.Errorf("the journal of another pattern: %v", err)
	}
	tree := k.tree(t, root, "%n", filepath.Join(t.TempDir(), "journal"))
	tree.Root = filepath.Join(root, "none")
	if _, err := ImportTree(context.Background(), tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
}

func TestPattern(t *testing.T) {
	f := func(pattern string, want string, paths ...string) {
		t.Helper()
		root := t.TempDir()
		for _, path := range paths {
			write(t, root, map[string]string{path + "/cur/1": "x"})
		}
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		if err := p.walk(root, new(report), func(m Mailbox) error { all = append(all, m.String()+":"+m.Path); return nil }); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(all, " "); got != want {
			t.Errorf("%q finds %q, want %q", pattern, got, want)
		}
	}
	f("%d/%n/Maildir", "a@x.example:x.example/a/Maildir", "x.example/a/Maildir", "x.example/b/mail")
	f("%n", "a:a b.c:b.c", "a", "b.c", ".hidden", "a@b")
	f("%d/%1n/%n", "ann@x:x/a/ann", "x/a/ann", "x/b/ann")
	f("%u/mail", "a@x:a@x/mail b:b/mail", "a@x/mail", "b/mail")
	f("v/%d/%n-mail/*/Maildir", "a-b@x:v/x/a-b-mail/9/Maildir", "v/x/a-b-mail/9/Maildir", "w/x/a-mail/9/Maildir", "v/x/a/9/Maildir")
	f("%d/%d/%n", "a@x:x/x/a", "x/x/a", "x/y/a")
	f("home/.%n", "a:home/.a", "home/.a", "home/a")
	for _, bad := range []string{"", "/", "%d", "*", "a//%n", "../%n", "%n/.", "%h/%n", "%", "100%/%n"} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("%q is a pattern", bad)
		}
	}
}
