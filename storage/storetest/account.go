package storetest

import (
	"slices"
	"testing"
	"time"

	"postrider/storage"
)

func disable(t *testing.T, s storage.Store, id storage.AccountID, a storage.Access) {
	t.Helper()
	must(t, s.ChangeAccount(id, storage.AccountChange{Access: &a}))
}

func rename(s storage.Store, id storage.AccountID, name, domain string) error {
	return s.ChangeAccount(id, storage.AccountChange{Name: &name, Domain: &domain})
}

// A verifier that comes later belongs to the password that it was made from.
func verifierAfterLogin(t *testing.T, s storage.Store) {
	id := Account(t, s, "alice")
	want(t, s.SetVerifier(id, "", "{SCRAM-SHA-256}v"), storage.ErrInvalid)
	must(t, s.SetPassword(id, "{SSHA}one", "clear"))
	before, err := s.Account(id)
	must(t, err)
	at := s.CredentialChanges()
	must(t, s.SetVerifier(id, "{SSHA}one", "{SCRAM-SHA-256}v"))
	after, err := s.Account(id)
	must(t, err)
	if after.Hash != "{SSHA}one {SCRAM-SHA-256}v" || after.Secret != "clear" || !storage.SameLogin(&before, &after) || s.CredentialChanges() != at {
		t.Errorf("%+v, %d changes", after, s.CredentialChanges()-at)
	}
	want(t, s.SetVerifier(id, "{SSHA}one", "{SCRAM-SHA-256}w"), storage.ErrFenced)
	must(t, s.SetPassword(id, "{SSHA}two", ""))
	want(t, s.SetVerifier(id, "{SSHA}one", "{SCRAM-SHA-256}v"), storage.ErrFenced)
	want(t, s.SetVerifier(id+100, "{SSHA}one", "v"), storage.ErrNotFound)
}

// An account keeps its id, its mail and its password under a new name.
func renamed(t *testing.T, s storage.Store) {
	id, other := Account(t, s, "alice"), Account(t, s, "bob")
	must(t, s.AddDomain("b.example"))
	must(t, s.SetPassword(id, "hash", "secret"))
	_, err := Deliver(s, Body(100, "kept"), id, other)
	must(t, err)
	was, err := s.Account(id)
	must(t, err)
	for name, kind := range map[string]error{"bob": storage.ErrExists, "Carol": storage.ErrInvalid, "": storage.ErrInvalid} {
		want(t, rename(s, id, name, Domain), kind)
	}
	want(t, rename(s, id, "alice", "far.example"), storage.ErrNotFound)
	want(t, rename(s, id+100, "x", Domain), storage.ErrNotFound)
	at := s.CredentialChanges()
	must(t, rename(s, id, "carol", "b.example"))
	if s.CredentialChanges() == at {
		t.Error("sessions under the old name go on")
	}
	is, err := s.Account(id)
	must(t, err)
	if is.Name != "carol" || is.Domain != "b.example" || is.Hash != "hash" || is.Secret != "secret" || !is.Created.Equal(was.Created) || storage.SameLogin(&was, &is) {
		t.Errorf("%+v", is)
	}
	_, err = s.Lookup("alice", Domain)
	want(t, err, storage.ErrNotFound)
	if a, err := s.Lookup("carol", "b.example"); err != nil || a.Account != id {
		t.Errorf("%+v %v", a, err)
	}
	if n := len(Contents(t, s, id)); n != 1 {
		t.Errorf("%d messages", n)
	}
	want(t, s.RemoveDomain("b.example"), storage.ErrInUse)
	Account(t, s, "alice") // the old name is free

	// An alias of the old name stays; one of the new name that names itself goes with it.
	must(t, s.SetAliases([]storage.Alias{
		{Name: "carol", Domain: "b.example", Targets: []string{"carol@b.example", "x@far.example"}},
		{Name: "dave", Domain: Domain, Targets: []string{"dave@" + Domain, "y@far.example"}},
	}))
	must(t, rename(s, id, "dave", Domain))
	if a, err := s.Lookup("carol", "b.example"); err != nil || a.Account != 0 || len(a.Targets) != 2 {
		t.Errorf("the alias of the old name: %+v %v", a, err)
	}
	if a, err := s.Lookup("dave", Domain); err != nil || a.Account != id || len(a.Targets) != 2 {
		t.Errorf("the alias of the new name: %+v %v", a, err)
	}
	must(t, s.RemoveAlias("carol", "b.example"))
	must(t, s.RemoveDomain("b.example"))
}

func access(t *testing.T, s storage.Store) {
	id := Account(t, s, "alice")
	for _, a := range []storage.Access{storage.NoLogin, storage.NoMail, storage.FullAccess} {
		at := s.CredentialChanges()
		disable(t, s, id, a)
		got, err := s.Account(id)
		must(t, err)
		found, err := s.Lookup("alice", Domain)
		must(t, err)
		if got.Access != a || found.Refused != (a == storage.NoMail) || s.CredentialChanges() == at {
			t.Errorf("%d: %+v %+v", a, got, found)
		}
		if _, err := Deliver(s, Body(10, "x"), id); err != nil { // the edge refuses, not the store
			t.Error(err)
		}
	}
	bad := storage.Access(9)
	want(t, s.ChangeAccount(id, storage.AccountChange{Access: &bad}), storage.ErrInvalid)
	few := int64(-1)
	want(t, s.ChangeAccount(id, storage.AccountChange{Quota: &few}), storage.ErrInvalid)
}

// A login is kept to LoginGrain, and is no change of credentials.
func lastLogin(t *testing.T, s storage.Store) {
	id := Account(t, s, "alice")
	at := s.CredentialChanges()
	last := func(want time.Time) {
		t.Helper()
		for until := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
			a, err := s.Account(id)
			must(t, err)
			if a.LastLogin.Equal(want) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("last login %v, want %v", a.LastLogin, want)
			}
		}
	}
	first := time.UnixMilli(1_700_000_000_000)
	last(time.Time{})
	s.NoteLogin(id, first)
	last(first)
	s.NoteLogin(id, first.Add(storage.LoginGrain-1))
	must(t, s.SetPassword(id, "x", "")) // waits until what came before is done
	last(first)
	s.NoteLogin(id, first.Add(storage.LoginGrain))
	last(first.Add(storage.LoginGrain))
	must(t, rename(s, id, "bob", Domain))
	last(first.Add(storage.LoginGrain))
	s.NoteLogin(id+100, first)
	must(t, s.RemoveAccount(id))
	s.NoteLogin(id, first.Add(time.Hour))
	if got := s.CredentialChanges() - at; got != 3 {
		t.Errorf("%d changes of credentials", got)
	}
	Clean(t, s)
}

// near delivers a message and returns what the store tells of quotas.
func near(t *testing.T, s storage.Store, octets int, to ...storage.AccountID) (near []storage.NearQuota, err error) {
	t.Helper()
	body := Body(octets, "q")
	d := &storage.Delivery{Draft: Draft(s, body), Arrival: arrival, Size: int64(len(body))}
	for _, a := range to {
		d.Recipients = append(d.Recipients, storage.Recipient{Account: a, Trace: Trace(a)})
	}
	_, err = storage.Put(t.Context(), s, d)
	return d.Near, err
}

func messageQuota(t *testing.T, s storage.Store) {
	plain := Account(t, s, "plain")
	a, err := s.AddAccount(storage.NewAccount{Name: "few", Domain: Domain, MaxMessages: 5})
	must(t, err)
	for i := range 5 {
		told, err := near(t, s, 100, a, plain)
		must(t, err)
		if (len(told) == 1) != (i == 3) {
			t.Errorf("message %d: %+v", i, told)
		}
		if i == 3 && (told[0].Account != a || told[0].Used.Messages != 4 || told[0].Quota != (storage.Quota{Messages: 5})) {
			t.Errorf("%+v", told)
		}
	}
	full := func(when string, want bool) {
		t.Helper()
		if found, err := s.Lookup("few", Domain); err != nil || found.Full != want {
			t.Errorf("%s: %+v, %v", when, found, err)
		}
	}
	full("nothing was refused yet", false)
	_, err = near(t, s, 100, a, plain)
	want(t, err, storage.ErrOverQuota)
	full("refused", true)
	l, err := s.LockMaildrop(a)
	must(t, err)
	list, err := l.List(10)
	must(t, err)
	first, _ := list.At(0)
	must(t, l.Expunge([]storage.MessageID{first}))
	l.Release()
	full("one was deleted", false)
	_, err = near(t, s, 100, a)
	must(t, err)
	_, err = near(t, s, 100, a)
	want(t, err, storage.ErrOverQuota)
	full("refused again", true)
	must(t, s.SetPassword(a, "x", "")) // it may forget what it knows, and learns it again
	more := int64(6)
	must(t, s.ChangeAccount(a, storage.AccountChange{MaxMessages: &more}))
	full("it has a larger quota", false)
	_, err = near(t, s, 100, plain, a)
	must(t, err)
	_, err = near(t, s, 100, a)
	want(t, err, storage.ErrOverQuota)
	none := int64(0)
	must(t, s.ChangeAccount(a, storage.AccountChange{MaxMessages: &none}))
	_, err = near(t, s, 100, a)
	must(t, err)
}

// The quota of a domain is for all of its maildrops together, whatever they held before, and
// whatever goes in or out of it.
func quotaOfDomain(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	must(t, s.AddDomain("b.example"))
	c, err := s.AddAccount(storage.NewAccount{Name: "carol", Domain: "b.example"})
	must(t, err)
	room := func(what string, n int, to ...storage.AccountID) {
		t.Helper()
		for i := range n {
			if _, err := near(t, s, 100, to...); err != nil {
				t.Fatalf("%s: message %d of %d: %v", what, i, n, err)
			}
		}
		_, err := near(t, s, 100, to...)
		want(t, err, storage.ErrOverQuota)
	}
	_, err = near(t, s, 100, a, b, c)
	must(t, err)
	want(t, s.SetDomainQuota("far.example", storage.Quota{}), storage.ErrNotFound)
	want(t, s.SetDomainQuota(Domain, storage.Quota{Octets: -1}), storage.ErrInvalid)
	must(t, s.SetDomainQuota(Domain, storage.Quota{Messages: 10}))
	told, err := near(t, s, 100, a, b, c) // 4
	must(t, err)
	if len(told) != 0 {
		t.Errorf("%+v", told)
	}
	room("two recipients at once", 3, a, b, c) // 10
	room("another domain's account", 0, c, a)
	l, err := s.LockMaildrop(a)
	must(t, err)
	list, err := l.List(10)
	must(t, err)
	first, _ := list.At(0)
	must(t, l.Expunge([]storage.MessageID{first}))
	l.Release()
	room("one was deleted", 1, b)
	must(t, rename(s, c, "carol", Domain)) // with 5 messages: 15
	room("one more account", 0, b)
	must(t, s.RemoveAccount(a)) // with 4: 11
	room("still over", 0, b)
	must(t, rename(s, c, "carol", "b.example")) // 6
	told, err = near(t, s, 100, b)              // 7
	must(t, err)
	if len(told) != 0 {
		t.Errorf("%+v", told)
	}
	told, err = near(t, s, 100, b) // 8
	must(t, err)
	if len(told) != 1 || told[0].Domain != Domain || told[0].Account != 0 || told[0].Used.Messages != 8 {
		t.Errorf("%+v", told)
	}
	room("the rest", 2, b)
	must(t, s.SetDomainQuota(Domain, storage.Quota{}))
	_, err = near(t, s, 100, b)
	must(t, err)
}

func domainAliases(t *testing.T, s storage.Store) {
	Account(t, s, "alice")
	must(t, s.AddDomainAlias("b.example", Domain))
	want(t, s.AddDomainAlias("b.example", Domain), storage.ErrExists)
	want(t, s.AddDomainAlias(Domain, Domain), storage.ErrExists)
	want(t, s.AddDomainAlias("c.example", "b.example"), storage.ErrNotFound)
	want(t, s.AddDomainAlias("C.example", Domain), storage.ErrInvalid)
	want(t, s.AddDomain("b.example"), storage.ErrExists)
	want(t, s.SetDomainQuota("b.example", storage.Quota{Octets: 1}), storage.ErrNotFound)
	_, err := s.AddAccount(storage.NewAccount{Name: "bob", Domain: "b.example"})
	want(t, err, storage.ErrNotFound)
	want(t, s.SetAliases([]storage.Alias{{Name: "bob", Domain: "b.example", Targets: []string{"x@far.example"}}}), storage.ErrNotFound)
	if !s.HostsDomain("b.example") || s.DomainAlias("b.example") != Domain || s.DomainAlias(Domain) != "" || s.HostsDomain("c.example") {
		t.Error("the alias is not ours")
	}
	must(t, s.SetDomainQuota(Domain, storage.Quota{Octets: 1 << 30}))
	all := []storage.Domain{{Name: "b.example", AliasOf: Domain}, {Name: Domain, Quota: storage.Quota{Octets: 1 << 30}}}
	if got := s.DomainSettings(); !slices.Equal(got, all) {
		t.Errorf("%+v", got)
	}
	if got := s.Domains(); !slices.Equal(got, []string{Domain}) {
		t.Errorf("%q", got)
	}
	id, err := s.Lookup("alice", Domain)
	must(t, err)
	must(t, s.RemoveAccount(id.Account))
	want(t, s.RemoveDomain(Domain), storage.ErrInUse)
	must(t, s.RemoveDomain("b.example"))
	must(t, s.RemoveDomain(Domain))
	if got := s.DomainSettings(); len(got) != 0 || s.HostsDomain("b.example") {
		t.Errorf("%+v", got)
	}
}
