package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"postrider/storage"
)

// keeping has everything that is deleted kept for a long time.
var keeping = storage.Retention{DeletedMail: 1000 * time.Hour, RemovedAccounts: 1000 * time.Hour}

// expunge deletes messages as a session does.
func expungeIDs(t *testing.T, s storage.Store, a storage.AccountID, ids ...storage.MessageID) {
	t.Helper()
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	must(t, l.Expunge(ids))
}

// deleted are the deleted messages of an account.
func deleted(t *testing.T, s storage.Store, a storage.AccountID) (ids []storage.MessageID) {
	t.Helper()
	must(t, s.Deleted(a, func(d storage.DeletedMessage) bool {
		if until := d.Until.Sub(d.Deleted); until != keeping.DeletedMail && until > time.Minute {
			t.Errorf("message %s is kept for %v", d.ID, until)
		}
		if age := time.Since(d.Deleted); age < -time.Minute || age > time.Hour {
			t.Errorf("message %s was deleted %v ago", d.ID, age)
		}
		ids = append(ids, d.ID)
		return true
	}))
	return ids
}

func undelete(t *testing.T, s storage.Store, a storage.AccountID, ids ...storage.MessageID) []storage.Undeleted {
	t.Helper()
	all, err := s.Undelete(a, ids)
	must(t, err)
	return all
}

// purge deletes all that is over its time, and returns how many messages that were.
func purge(t *testing.T, s storage.Store) (messages int64, accounts []string) {
	t.Helper()
	for more := true; more; {
		p, err := s.Purge()
		must(t, err)
		messages += p.Mail.Messages
		for _, a := range p.Accounts {
			accounts = append(accounts, fmt.Sprintf("%s %d", a.Name, a.Holds.Messages))
		}
		more = p.More
	}
	return messages, accounts
}

func kept(t *testing.T, s storage.Store, messages, accounts, held int64) {
	t.Helper()
	if k := s.Kept(); k.Deleted.Messages != messages || k.Accounts != accounts || k.Removed.Messages != held || (k.Deleted.Octets == 0) != (messages == 0) {
		t.Errorf("kept: %+v; want %d messages, %d accounts with %d", k, messages, accounts, held)
	}
}

// A deleted message comes back with its octets, its unique-id and its place, also when another maildrop has
// its body.
func deletedComesBack(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	shared, err := Deliver(s, Body(150_000, "shared"), a, b)
	must(t, err)
	imported, _, err := deliverAs(s, Body(5000, "imported"), a, "UID1-2")
	must(t, err)
	own, err := Deliver(s, Body(100, "own"), a)
	must(t, err)
	before := uidlsOf(t, s, a)
	expungeIDs(t, s, a, shared, imported, own)
	if n, octets, err := s.Usage(a); n != 0 || octets != 0 || err != nil {
		t.Errorf("%d messages of %d octets are left, %v", n, octets, err)
	}
	if got := uidlsOf(t, s, a); len(got) != 0 {
		t.Errorf("%q is listed", got)
	}
	kept(t, s, 3, 0, 0)
	if got := deleted(t, s, a); !slices.Equal(got, []storage.MessageID{shared, imported, own}) {
		t.Errorf("%v can be undeleted", got)
	}
	expungeIDs(t, s, b, shared)
	sum := Clean(t, s)
	if sum.Messages != 0 || sum.Deleted != 4 || sum.Bodies != 3 {
		t.Errorf("check: %+v", sum)
	}
	if got := undelete(t, s, a, own, shared, shared, imported, 4711); len(got) != 3 || slices.ContainsFunc(got, func(u storage.Undeleted) bool { return u.UIDL != "" || u.There }) {
		t.Errorf("%+v", got)
	}
	if got := uidlsOf(t, s, a); !slices.Equal(got, before) {
		t.Errorf("unique-ids %q, want %q", got, before)
	}
	for id, want := range map[storage.MessageID][]byte{shared: Body(150_000, "shared"), imported: Body(5000, "imported"), own: Body(100, "own")} {
		l, err := s.LockMaildrop(a)
		must(t, err)
		m, err := l.Open(id)
		must(t, err)
		got, err := ReadAll(m)
		must(t, err)
		same(t, got, want)
		l.Release()
	}
	kept(t, s, 1, 0, 0)
	if got := undelete(t, s, a, own); len(got) != 0 {
		t.Errorf("again: %+v", got)
	}
	expungeIDs(t, s, a, own) // and once more
	expungeIDs(t, s, a, own)
	kept(t, s, 2, 0, 0)
	undelete(t, s, a, own)
	must(t, s.PurgeAccount(b))
	kept(t, s, 0, 0, 0)
	_, err = s.Undelete(b, []storage.MessageID{shared})
	want(t, err, storage.ErrNotFound)
	want(t, s.Deleted(b, func(storage.DeletedMessage) bool { return true }), storage.ErrNotFound)
}

// RFC 1939 section 7: also when another message has got the unique-id of a deleted one.
func undeletedUIDLs(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	a := Account(t, s, "alice")
	imported := func(mark, uidl string) (id storage.MessageID) {
		t.Helper()
		id, got, err := deliverAs(s, Body(500, mark), a, uidl)
		must(t, err)
		if got != uidl {
			t.Errorf("%s got the unique-id %q, not %q", mark, got, uidl)
		}
		return id
	}
	one := imported("one", "UID1")
	plain, err := Deliver(s, Body(500, "plain"), a)
	must(t, err)
	expungeIDs(t, s, a, one, plain)
	two := imported("two", "UID1")
	expungeIDs(t, s, a, two)
	three := imported("three", "UID1")
	likeID := imported("like an id", plain.String())
	got := undelete(t, s, a, one, two, plain)
	wanted := []storage.Undeleted{{ID: one, UIDL: one.String()}, {ID: plain, UIDL: plain.String() + ".2"}, {ID: two, UIDL: two.String()}}
	if !slices.Equal(got, wanted) {
		t.Errorf("%+v, want %+v", got, wanted)
	}
	if got := uidlsOf(t, s, a); !slices.Equal(got, []string{one.String(), plain.String() + ".2", two.String(), "UID1", plain.String()}) {
		t.Errorf("%q", got)
	}
	Clean(t, s)
	// The same octets with the same unique-id are the same message, which was imported again.
	expungeIDs(t, s, a, three, likeID)
	imported("three", "UID1")
	if got := undelete(t, s, a, three); !slices.Equal(got, []storage.Undeleted{{ID: three, There: true}}) {
		t.Errorf("%+v", got)
	}
	// Two that come back at once with one unique-id, which is the id of the first, too.
	b := Account(t, s, "bob")
	first, err := Deliver(s, Body(500, "first"), b)
	must(t, err)
	expungeIDs(t, s, b, first)
	second, gotUIDL, err := deliverAs(s, Body(500, "second"), b, first.String())
	must(t, err)
	expungeIDs(t, s, b, second)
	if back := undelete(t, s, b, first, second); gotUIDL != first.String() || !slices.Equal(back, []storage.Undeleted{{ID: first}, {ID: second, UIDL: second.String()}}) {
		t.Errorf("%q %+v", gotUIDL, back)
	}
	if got := uidlsOf(t, s, b); !slices.Equal(got, []string{first.String(), second.String()}) {
		t.Errorf("%q", got)
	}
}

// Nothing is kept that is not to be, and what is there goes when its time becomes shorter.
func purgedInTime(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	next := func() storage.MessageID {
		t.Helper()
		id, err := Deliver(s, Body(70_000, "x"), a, b)
		must(t, err)
		return id
	}
	expungeIDs(t, s, a, next())
	kept(t, s, 0, 0, 0)
	s.SetRetention(keeping)
	l, err := s.LockMaildrop(a)
	must(t, err)
	must(t, l.Purge([]storage.MessageID{next()}))
	l.Release()
	kept(t, s, 0, 0, 0)
	ids := []storage.MessageID{next(), next(), next()}
	must(t, s.Remove(a, ids))
	must(t, s.Remove(b, ids)) // both owners of a body in one step
	if n, _ := purge(t, s); n != 0 {
		t.Errorf("%d messages went early", n)
	}
	kept(t, s, 6, 0, 0)
	undelete(t, s, a, ids[1])
	s.SetRetention(storage.Retention{DeletedMail: 1})
	awaitPurged(t, s, 5)
	s.SetRetention(keeping)
	expungeIDs(t, s, a, ids[1])
	s.SetRetention(storage.Retention{})
	awaitPurged(t, s, 1)
	if sum := Clean(t, s); sum.Messages != 2 || sum.Deleted != 0 || sum.Bodies != 2 { // the other maildrop has them
		t.Errorf("left: %+v", sum)
	}
}

// awaitPurged purges until so many messages are gone.
func awaitPurged(t *testing.T, s storage.Store, messages int64) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); messages > 0; {
		n, _ := purge(t, s)
		if messages -= n; time.Now().After(until) {
			t.Fatalf("%d messages are kept", messages)
		}
	}
	if n, _ := purge(t, s); n+messages != 0 {
		t.Errorf("%d messages too many are gone", n-messages)
	}
}

// A quota does not count what is deleted, and is no reason not to undelete.
func keptAndQuota(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	must(t, s.AddDomain(Domain))
	must(t, s.SetDomainQuota(Domain, storage.Quota{Messages: 3}))
	a, err := s.AddAccount(storage.NewAccount{Name: "few", Domain: Domain, MaxMessages: 2})
	must(t, err)
	var ids []storage.MessageID
	for range 3 {
		for range 2 {
			id, err := Deliver(s, Body(100, "x"), a)
			must(t, err)
			ids = append(ids, id)
		}
		expungeIDs(t, s, a, ids[len(ids)-2:]...)
	}
	undelete(t, s, a, ids...)
	if n := len(Contents(t, s, a)); n != 6 {
		t.Errorf("%d messages are back", n)
	}
	_, err = Deliver(s, Body(100, "x"), a)
	want(t, err, storage.ErrOverQuota)
	must(t, s.RemoveAccount(a))
	b := Account(t, s, "other")
	_, err = Deliver(s, Body(100, "x"), b) // the domain has room again
	must(t, err)
	must(t, s.RestoreAccount(a, "few", Domain))
	_, err = Deliver(s, Body(100, "x"), b)
	want(t, err, storage.ErrOverQuota)
}

func removedAccounts(t *testing.T, s storage.Store) (all []storage.RemovedAccount) {
	t.Helper()
	must(t, s.RemovedAccounts(func(a storage.RemovedAccount) bool { all = append(all, a); return true }))
	return all
}

// A removed account comes back with all that it had.
func removedComesBack(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	a, other := Account(t, s, "alice"), Account(t, s, "bob")
	must(t, s.SetPassword(a, "hash", "secret"))
	quota, messages, access, expire := int64(1<<30), int64(50), storage.NoLogin, 90*24*time.Hour
	must(t, s.ChangeAccount(a, storage.AccountChange{Quota: &quota, MaxMessages: &messages, Access: &access, Expire: &expire}))
	s.NoteLogin(a, time.UnixMilli(1_700_000_000_000))
	must(t, s.SetAliases([]storage.Alias{{Name: "alice", Domain: Domain, Targets: []string{"alice@" + Domain, "x@far.example"}}}))
	id, err := Deliver(s, Body(150_000, "shared"), a, other)
	must(t, err)
	gone, err := Deliver(s, Body(100, "gone"), a)
	must(t, err)
	expungeIDs(t, s, a, gone)
	was, err := s.Account(a)
	must(t, err)
	changes := s.CredentialChanges()
	must(t, s.RemoveAccount(a))
	if s.CredentialChanges() == changes {
		t.Error("sessions of the account go on")
	}
	_, err = s.Account(a)
	want(t, err, storage.ErrNotFound)
	_, err = Deliver(s, Body(10, "x"), a)
	want(t, err, storage.ErrNotFound)
	_, err = s.LockMaildrop(a)
	want(t, err, storage.ErrNotFound)
	if found, err := s.Lookup("alice", Domain); err != nil || found.Account != 0 || len(found.Targets) != 2 {
		t.Errorf("the alias of its name: %+v, %v", found, err)
	}
	kept(t, s, 1, 1, 1)
	list := removedAccounts(t, s)
	if len(list) != 1 || list[0].ID != a || list[0].Name != "alice" || list[0].Holds.Messages != 1 || list[0].Until.Sub(list[0].Removed) != keeping.RemovedAccounts {
		t.Errorf("%+v", list)
	}
	if got := deleted(t, s, a); len(got) != 1 {
		t.Errorf("%v can be undeleted", got)
	}
	if sum := Clean(t, s); sum.Removed != 1 || sum.Accounts != 1 {
		t.Errorf("%+v", sum)
	}
	must(t, s.RestoreAccount(a, "alice", Domain))
	is, err := s.Account(a)
	must(t, err)
	if is != was {
		t.Errorf("%+v, was %+v", is, was)
	}
	if found, err := s.Lookup("alice", Domain); err != nil || found.Account != a || len(found.Targets) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
	same(t, Contents(t, s, a)[id], Body(150_000, "shared"))
	undelete(t, s, a, gone)
	if n := len(Contents(t, s, a)); n != 2 {
		t.Errorf("%d messages", n)
	}
	kept(t, s, 0, 0, 0)
	want(t, s.RestoreAccount(a, "alice", Domain), storage.ErrNotFound)
}

// The name of a removed account is free, and so it may have to come back under another one.
func removedUnderAnotherName(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	a := Account(t, s, "alice")
	id, err := Deliver(s, Body(100, "old"), a)
	must(t, err)
	must(t, s.RemoveAccount(a))
	b := Account(t, s, "alice")
	if b == a {
		t.Fatal("another account has the id")
	}
	_, err = Deliver(s, Body(100, "new"), b)
	must(t, err)
	want(t, s.RestoreAccount(a, "alice", Domain), storage.ErrExists)
	want(t, s.RestoreAccount(a, "alice", "far.example"), storage.ErrNotFound)
	want(t, s.RestoreAccount(a, "Alice", Domain), storage.ErrInvalid)
	want(t, s.RestoreAccount(b, "x", Domain), storage.ErrNotFound)
	must(t, s.RestoreAccount(a, "alice.old", Domain))
	same(t, Contents(t, s, a)[id], Body(100, "old"))
	must(t, s.RemoveAccount(a))
	must(t, s.RemoveAccount(b))
	must(t, s.RemoveDomain(Domain)) // removed accounts don't hold it
	want(t, s.RestoreAccount(a, "alice", Domain), storage.ErrNotFound)
	must(t, s.AddDomain(Domain))
	must(t, s.RestoreAccount(b, "alice", Domain))
	if n := len(Contents(t, s, b)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A removed account goes when its time is over, or at once for an operator who wants that.
func removedGoes(t *testing.T, s storage.Store) {
	s.SetRetention(keeping)
	a, b, c := Account(t, s, "alice"), Account(t, s, "bob"), Account(t, s, "carol")
	_, err := Deliver(s, Body(150_000, "shared"), a, b, c)
	must(t, err)
	gone, err := Deliver(s, Body(100, "gone"), a, b)
	must(t, err)
	expungeIDs(t, s, a, gone)
	expungeIDs(t, s, b, gone)
	must(t, s.RemoveAccount(a))
	must(t, s.RemoveAccount(b))
	kept(t, s, 2, 2, 2)
	must(t, s.PurgeAccount(a))
	want(t, s.PurgeAccount(a), storage.ErrNotFound)
	kept(t, s, 1, 1, 1)
	if n, accounts := purge(t, s); n != 0 || len(accounts) != 0 {
		t.Errorf("%d messages and %v went early", n, accounts)
	}
	Clean(t, s)
	r := keeping
	r.RemovedAccounts = 1
	s.SetRetention(r)
	for until := time.Now().Add(2 * time.Minute); s.Kept().Accounts > 0; {
		if _, accounts := purge(t, s); len(accounts) > 0 && !slices.Equal(accounts, []string{"bob 1"}) || time.Now().After(until) {
			t.Fatalf("%v", accounts)
		}
	}
	kept(t, s, 0, 0, 0)
	want(t, s.RestoreAccount(b, "bob", Domain), storage.ErrNotFound)
	must(t, s.PurgeAccount(c))
	if sum := Clean(t, s); sum.Bodies != 0 || sum.Deleted != 0 || sum.Removed != 0 || sum.Accounts != 0 {
		t.Errorf("left: %+v", sum)
	}
}

// Mail expires after the time of its account, or of all; never in a maildrop that is open.
func mailExpires(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	least := func(d time.Duration, differs bool) {
		t.Helper()
		if got, is := s.MailExpiry(); got != d || is != differs {
			t.Errorf("mail stays %v, %v; want %v, %v", got, is, d, differs)
		}
	}
	set := func(id storage.AccountID, d time.Duration) {
		t.Helper()
		must(t, s.ChangeAccount(id, storage.AccountChange{Expire: &d}))
	}
	const day = 24 * time.Hour
	least(0, false)
	set(b, storage.NeverExpire)
	least(0, false)
	set(a, 30*day)
	least(30*day, true)
	s.SetRetention(storage.Retention{Mail: 90 * day})
	least(30*day, true)
	set(a, 90*day)
	least(90*day, true)
	set(b, 0)
	least(90*day, false)
	set(a, 0)
	for _, bad := range []time.Duration{-2, 1, 25 * time.Hour, storage.MaxExpire + day} {
		want(t, s.ChangeAccount(a, storage.AccountChange{Expire: &bad}), storage.ErrInvalid)
	}
	set(b, 1000*day)
	id, err := Deliver(s, Body(100, "old"), a, b)
	must(t, err)
	none := func(who storage.AccountID) {
		t.Helper()
		if x, err := s.Expire(who); err != nil || x != (storage.Expired{}) {
			t.Errorf("%+v, %v", x, err)
		}
	}
	none(a)
	s.SetRetention(storage.Retention{Mail: time.Millisecond, DeletedMail: keeping.DeletedMail})
	l, err := s.LockMaildrop(a)
	must(t, err)
	time.Sleep(20 * time.Millisecond)
	for until := time.Now().Add(2 * time.Minute); err == nil && time.Now().Before(until); {
		_, err = s.Expire(a) // ids may be ahead of the clock
	}
	want(t, err, storage.ErrInUse)
	l.Release()
	if n := len(Contents(t, s, a)); n != 1 {
		t.Errorf("%d messages in an open maildrop", n)
	}
	if x, err := s.Expire(a); err != nil || x.Mail.Messages != 1 || x.Mail.Octets != int64(len(Body(100, "old"))+len(Trace(a))) || x.More {
		t.Errorf("%+v, %v", x, err)
	}
	none(a)
	none(b)
	if got := deleted(t, s, a); !slices.Equal(got, []storage.MessageID{id}) {
		t.Errorf("%v can be undeleted", got)
	}
	_, err = s.Expire(4711)
	want(t, err, storage.ErrNotFound)
}
