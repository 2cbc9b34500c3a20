package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postrider/storage"
)

// deliverAs delivers body to an account with the unique-id uidl, and returns the one that
// it got.
func deliverAs(s storage.Store, body []byte, a storage.AccountID, uidl string) (id storage.MessageID, got string, err error) {
	return deliverAsEither(s, body, a, uidl, "")
}

// deliverAsEither is deliverAs with another unique-id for when uidl is taken.
func deliverAsEither(s storage.Store, body []byte, a storage.AccountID, uidl, other string) (id storage.MessageID, got string, err error) {
	dl := &storage.Delivery{Draft: Draft(s, body), Arrival: arrival, Size: int64(len(body)), Recipients: []storage.Recipient{{Account: a, UIDL: uidl, Else: other}}}
	done := make(chan error, 1)
	dl.Done = func(dl *storage.Delivery, r storage.Receipt, err error) {
		id, got = r.ID(), dl.Recipients[0].UIDL
		done <- err
	}
	s.Deliver(dl)
	return id, got, <-done
}

// uidlsOf are the unique-ids of a maildrop, as its listing and its entries have them.
func uidlsOf(t *testing.T, s storage.Store, a storage.AccountID) []string {
	t.Helper()
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	list, err := l.List(1 << 30)
	must(t, err)
	var all []string
	for i := range list.Len() {
		all = append(all, string(list.AppendUIDL(nil, i)))
		id, _ := list.At(i)
		m, err := l.Open(id)
		must(t, err)
		if got := string(m.Entry().AppendUIDL(nil)); got != all[i] {
			t.Errorf("message %d has the unique-id %q when it is opened, and %q in the listing", i+1, got, all[i])
		}
		m.Close()
	}
	i := 0
	must(t, s.EachEntry(a, func(e storage.Entry) bool {
		if id, octets := list.At(i); e.ID != id || e.Octets() != octets || string(e.AppendUIDL(nil)) != all[i] {
			t.Errorf("entry %d is %+v", i+1, e)
		}
		i++
		return true
	}))
	if i != len(all) {
		t.Errorf("%d entries of %d", i, len(all))
	}
	return all
}

// A message whose unique-id is taken gets the other one, and is known by it again.
func otherUIDLs(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	one, two, three := Body(100, "one"), Body(100, "two"), Body(100, "three")
	f := func(body []byte, uidl, other, want string, wanted error) {
		t.Helper()
		_, got, err := deliverAsEither(s, body, a, uidl, other)
		if !errors.Is(err, wanted) || err == nil && got != want {
			t.Errorf("%q, else %q: got %q, %v; want %q, %v", uidl, other, got, err, want, wanted)
		}
	}
	f(one, "x", "file-1", "x", nil)
	f(two, "x", "file-2", "file-2", nil)
	f(two, "x", "file-2", "", storage.ErrExists)
	f(one, "x", "file-1", "", storage.ErrExists)
	f(three, "x", "file-2", "", nil)                                 // both are taken: its id
	f(three, storage.MaxMessageID.String(), "file-3", "file-3", nil) // it may be given yet
	f(three, "y", "a b", "", storage.ErrInvalid)
	f(three, "", "file-4", "", nil) // else is only for one that is taken
	if n := len(uidlsOf(t, s, a)); n != 5 {
		t.Errorf("%d messages", n)
	}
	Clean(t, s)
}

// RFC 1939 section 7: a unique-id is of one message of the maildrop only, and stays.
func uidls(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	one, two := Body(100, "one"), Body(200_000, "two")
	first, got, err := deliverAs(s, one, a, "0000000a5f3c8d2a")
	must(t, err)
	if got != "0000000a5f3c8d2a" {
		t.Errorf("the unique-id became %q", got)
	}
	if _, _, err := deliverAs(s, one, a, "0000000a5f3c8d2a"); !errors.Is(err, storage.ErrExists) {
		t.Errorf("the same message again: %v", err)
	}
	second, got, err := deliverAs(s, two, a, "0000000a5f3c8d2a")
	must(t, err)
	if got != "" {
		t.Errorf("another message got the unique-id %q too", got)
	}
	if _, got, err = deliverAs(s, one, b, "0000000a5f3c8d2a"); err != nil || got == "" {
		t.Errorf("in another maildrop: %q, %v", got, err)
	}
	third, err := Deliver(s, one, b)
	must(t, err)
	same := func(who storage.AccountID, want ...string) {
		t.Helper()
		if got := uidlsOf(t, s, who); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("unique-ids %q, want %q", got, want)
		}
	}
	same(a, "0000000a5f3c8d2a", second.String())
	same(b, "0000000a5f3c8d2a", third.String())
	Clean(t, s)
	expungeAll(t, s, a, first)
	if _, got, err = deliverAs(s, two, a, "0000000a5f3c8d2a"); err != nil || got == "" {
		t.Errorf("the unique-id of a message that was deleted: %q, %v", got, err)
	}
	Clean(t, s)
	must(t, s.RemoveAccount(a))
	if sum := Clean(t, s); sum.Messages != 2 {
		t.Errorf("%d messages are left", sum.Messages)
	}
}

func expungeAll(t *testing.T, s storage.Store, a storage.AccountID, ids ...storage.MessageID) {
	t.Helper()
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	must(t, l.Expunge(ids))
}

// A unique-id that looks like an id is taken only if no message of ours has it, or can get it.
func uidlsLikeIDs(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	ours, err := Deliver(s, Body(100, "ours"), a)
	must(t, err)
	f := func(uidl string, kept bool) {
		t.Helper()
		_, got, err := deliverAs(s, Body(300, uidl), a, uidl)
		if err != nil || got != map[bool]string{true: uidl}[kept] {
			t.Errorf("%q became %q, %v", uidl, got, err)
		}
	}
	f(ours.String(), false)
	f((ours - 1).String(), true)
	f((ours + 1<<40).String(), false)
	f(storage.MaxMessageID.String(), false)
	f(strings.ToLower((ours - 2).String()), true)
	f("0000000000000", true)
	// An export of ours has Delivered-To inside of the message.
	whole := append(Trace(a), Body(100, "ours")...)
	if _, _, err := deliverAs(s, whole, a, ours.String()); !errors.Is(err, storage.ErrExists) {
		t.Errorf("our message again: %v", err)
	}
	all := uidlsOf(t, s, a)
	seen := make(map[string]bool)
	for _, uidl := range all {
		if seen[uidl] {
			t.Errorf("%q is there twice: %q", uidl, all)
		}
		seen[uidl] = true
	}
	Clean(t, s)
}

func uidlsOfAnyForm(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	for i, uidl := range []string{"!", "~", strings.Repeat("x", storage.MaxUIDL), `"`, "a:2,S", "UID5-1234567"} {
		if _, got, err := deliverAs(s, Body(100+i, "x"), a, uidl); err != nil || got != uidl {
			t.Errorf("%q became %q, %v", uidl, got, err)
		}
	}
	for _, uidl := range []string{" ", "a b", "a\x00", "\x7f", "ü", "a\r\n", strings.Repeat("x", storage.MaxUIDL+1)} {
		if id, _, err := deliverAs(s, Body(100, "x"), a, uidl); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%q: %s, %v", uidl, id, err)
		}
	}
	Clean(t, s)
}

// Many deliveries of the same unique-ids at once: each is given once.
func uidlsAtOnce(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	type outcome struct {
		uidl string
		err  error
	}
	const n, distinct = 400, 40
	outcomes := make(chan outcome, n)
	for i := range n {
		body := Body(60, fmt.Sprint(i/4)) // four of each
		s.Deliver(&storage.Delivery{Draft: Draft(s, body), Arrival: arrival, Size: int64(len(body)),
			Recipients: []storage.Recipient{{Account: a, UIDL: fmt.Sprint("uid-", i/4%distinct)}},
			Done: func(d *storage.Delivery, _ storage.Receipt, err error) {
				outcomes <- outcome{d.Recipients[0].UIDL, err}
			}})
	}
	kept, own, there := 0, 0, 0
	for range n {
		switch o := <-outcomes; {
		case errors.Is(o.err, storage.ErrExists):
			there++
		case o.err != nil:
			t.Fatal(o.err)
		case o.uidl == "":
			own++
		default:
			kept++
		}
	}
	if kept != distinct || there != 3*distinct || own != n-4*distinct {
		t.Errorf("%d kept their unique-ids, %d were there already, %d got others", kept, there, own)
	}
	Clean(t, s)
}

// A message that came with a unique-id gets another one, if no other message has it.
func uidlChanged(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	for i := range 100 { // so many that listings are kept
		_, _, err := deliverAs(s, Body(100+i, "x"), a, fmt.Sprint("uid-", i))
		must(t, err)
	}
	own, err := Deliver(s, Body(10, "own"), a)
	must(t, err)
	uidlsOf(t, s, a)
	f := func(from, to string, want error) {
		t.Helper()
		if err := s.ChangeUIDL(a, from, to); !errors.Is(err, want) {
			t.Errorf("%q to %q: %v", from, to, err)
		}
	}
	f("uid-7", "later", nil)
	f("uid-7", "other", storage.ErrNotFound)
	f(own.String(), "other", storage.ErrNotFound)
	f("uid-8", "later", storage.ErrExists)
	f("uid-8", own.String(), storage.ErrExists)
	f("uid-8", storage.MaxMessageID.String(), storage.ErrExists)
	f("uid-8", "a b", storage.ErrInvalid)
	f("uid-8", "uid-7", nil)
	all := uidlsOf(t, s, a)
	if all[6] != "uid-6" || all[7] != "later" || all[8] != "uid-7" || all[100] != own.String() {
		t.Errorf("%q", all)
	}
	l, err := s.LockMaildrop(a)
	must(t, err)
	f("uid-9", "busy", storage.ErrInUse)
	l.Release()
	Clean(t, s)
	if _, got, err := deliverAs(s, Body(5, "y"), a, "uid-8"); err != nil || got != "uid-8" {
		t.Errorf("the unique-id that was given up: %q, %v", got, err)
	}
	must(t, s.RemoveAccount(a))
	Clean(t, s)
}

// Remove deletes what it names, and nothing while a session has the maildrop.
func removed(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	var ids []storage.MessageID
	for i := range 4 {
		id, err := Deliver(s, Body(100, fmt.Sprint(i)), a)
		must(t, err)
		ids = append(ids, id)
	}
	l, err := s.LockMaildrop(a)
	must(t, err)
	if err := s.Remove(a, ids[:1]); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("under a session: %v", err)
	}
	l.Release()
	must(t, s.Remove(a, []storage.MessageID{ids[1], ids[3], ids[3] + 7}))
	if got := Contents(t, s, a); len(got) != 2 || got[ids[0]] == nil || got[ids[2]] == nil {
		t.Errorf("%d messages are left", len(got))
	}
	if err := s.Remove(a+99, ids); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("of an account that is not there: %v", err)
	}
	Clean(t, s)
}
