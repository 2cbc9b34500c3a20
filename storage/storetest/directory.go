package storetest

import (
	"fmt"
	"slices"
	"testing"

	"postrider/storage"
)

func directoryByExactName(t *testing.T, s storage.Store) {
	id := Account(t, s, "alice")
	a, err := s.Lookup("alice", Domain)
	must(t, err)
	if a.Account != id || a.Targets != nil {
		t.Errorf("Lookup: %+v, want account %d", a, id)
	}
	for _, name := range [][2]string{{"alic", Domain}, {"alicee", Domain}, {"alice", "example.com"}, {"", Domain}} {
		_, err := s.Lookup(name[0], name[1])
		want(t, err, storage.ErrNotFound)
	}
	must(t, s.SetPassword(id, "{PLAIN}secret", "secret"))
	got, err := s.Account(id)
	must(t, err)
	if got.ID != id || got.Name != "alice" || got.Domain != Domain || got.Hash != "{PLAIN}secret" || got.Secret != "secret" {
		t.Errorf("Account: %+v", got)
	}
	want(t, s.SetPassword(id+100, "", ""), storage.ErrNotFound)
	_, err = s.Account(0)
	want(t, err, storage.ErrNotFound)
}

func accountIDsAreNew(t *testing.T, s storage.Store) {
	first := Account(t, s, "alice")
	must(t, s.RemoveAccount(first))
	if second := Account(t, s, "alice"); second <= first {
		t.Errorf("account %d was made after account %d", second, first)
	}
	_, err := s.Account(first)
	want(t, err, storage.ErrNotFound)
	want(t, s.RemoveAccount(first), storage.ErrNotFound)
}

func accountsAllOrNone(t *testing.T, s storage.Store) {
	Account(t, s, "taken")
	as := make([]storage.NewAccount, 1000)
	for i := range as {
		as[i] = storage.NewAccount{Name: fmt.Sprintf("user%d", i), Domain: Domain, Hash: "h", Secret: "s", Quota: 5}
	}
	for _, bad := range []struct {
		a    storage.NewAccount
		kind error
	}{
		{storage.NewAccount{Name: "taken", Domain: Domain}, storage.ErrExists},
		{storage.NewAccount{Name: "user1", Domain: Domain}, storage.ErrExists},
		{storage.NewAccount{Name: "x", Domain: "elsewhere.example"}, storage.ErrNotFound},
		{storage.NewAccount{Name: "X", Domain: Domain}, storage.ErrInvalid},
		{storage.NewAccount{Name: "a\x00b", Domain: Domain}, storage.ErrInvalid},
		{storage.NewAccount{Name: "", Domain: Domain}, storage.ErrInvalid},
	} {
		want(t, s.AddAccounts(append(slices.Clone(as), bad.a)), bad.kind)
		_, err := s.Lookup("user0", Domain)
		want(t, err, storage.ErrNotFound)
	}
	must(t, s.AddAccounts(as))
	for i := range as {
		a, err := s.Lookup(as[i].Name, Domain)
		must(t, err)
		got, err := s.Account(a.Account)
		must(t, err)
		if got.Name != as[i].Name || got.Hash != "h" || got.Secret != "s" || got.Quota != 5 {
			t.Errorf("account %d: %+v", i, got)
		}
	}
}

func proofs(t *testing.T, s storage.Store) {
	have := func(when string, verifiers, secrets, without int) {
		t.Helper()
		if got := s.Proofs(); got != (storage.Proofs{Verifiers: verifiers, Secrets: secrets, Without: without}) {
			t.Errorf("%s: %+v", when, got)
		}
	}
	have("an empty store", 0, 0, 0)
	must(t, s.AddDomain(Domain))
	must(t, s.AddAccounts([]storage.NewAccount{
		{Name: "none", Domain: Domain},
		{Name: "hash", Domain: Domain, Hash: "{BLF-CRYPT}x{SCRAM-SHA-256}"},
		{Name: "alone", Domain: Domain, Hash: "{scram-sha-256}1,2,3,4"},
		{Name: "both", Domain: Domain, Hash: "{ARGON2ID}x {SCRAM-SHA-256}1,2,3,4", Secret: "s"},
	}))
	have("four accounts", 2, 1, 1)
	both, err := s.Lookup("both", Domain)
	must(t, err)
	must(t, s.SetPassword(both.Account, "{ARGON2ID}x", "s"))
	have("the verifier is gone", 1, 1, 2)
	must(t, s.SetAliases([]storage.Alias{{Name: "both", Domain: Domain, Targets: []string{"both@" + Domain, "x@elsewhere.example"}}}))
	have("an alias of the name", 1, 1, 2)
	must(t, s.SetPassword(both.Account, "{ARGON2ID}x {Scram-Sha-256}1,2,3,4", ""))
	have("the secret is gone", 2, 0, 1)
	many := make([]storage.NewAccount, 500)
	for i := range many {
		many[i] = storage.NewAccount{Name: fmt.Sprintf("m%d", i), Domain: Domain, Hash: "{SCRAM-SHA-256}1,2,3,4", Secret: "s"}
	}
	must(t, s.AddAccounts(many))
	have("many more", 502, 500, 1)
	for i := range many {
		a, err := s.Lookup(many[i].Name, Domain)
		must(t, err)
		must(t, s.RemoveAccount(a.Account))
	}
	have("and all of them removed", 2, 0, 1)
	must(t, s.RemoveAccount(both.Account))
	have("one removed whose alias stays", 1, 0, 1)
	hash, err := s.Lookup("hash", Domain)
	must(t, err)
	disable(t, s, hash.Account, storage.NoLogin)
	have("one that can't log in has no need of a verifier", 1, 0, 0)
	disable(t, s, hash.Account, storage.FullAccess)
	must(t, s.SetVerifier(hash.Account, "{BLF-CRYPT}x{SCRAM-SHA-256}", "{SCRAM-SHA-256}1,2,3,4"))
	have("the last one has its verifier", 2, 0, 0)
}

// A session that has read the number before an account finds every change of what it has
// read by a look at the number.
func credentialChanges(t *testing.T, s storage.Store) {
	id := Account(t, s, "alice")
	at := s.CredentialChanges()
	changed := func(what string, want bool) {
		t.Helper()
		if now := s.CredentialChanges(); (now != at) != want {
			t.Errorf("%s: %d became %d", what, at, now)
		} else {
			at = now
		}
	}
	_, err := Deliver(s, Body(10, "x"), id)
	must(t, err)
	changed("mail", false)
	must(t, s.SetPassword(id, "another", ""))
	changed("a password", true)
	must(t, s.SetPassword(id, "another", "secret"))
	changed("a secret", true)
	must(t, s.SetPassword(id, "", ""))
	changed("no password", true)
	want(t, s.SetPassword(id+100, "x", ""), storage.ErrNotFound)
	changed("the password of nobody", false)
	must(t, s.RemoveAccount(id))
	changed("a removal", true)
}

func domainInUse(t *testing.T, s storage.Store) {
	must(t, s.AddDomain("b.example"))
	must(t, s.AddDomain("a.example"))
	want(t, s.AddDomain("a.example"), storage.ErrExists)
	if got := s.Domains(); !slices.Equal(got, []string{"a.example", "b.example"}) {
		t.Errorf("Domains: %q", got)
	}
	id, err := s.AddAccount(storage.NewAccount{Name: "x", Domain: "a.example"})
	must(t, err)
	want(t, s.RemoveDomain("a.example"), storage.ErrInUse)
	must(t, s.RemoveAccount(id))
	must(t, s.RemoveDomain("a.example"))
	want(t, s.RemoveDomain("a.example"), storage.ErrNotFound)
	if s.HostsDomain("a.example") || !s.HostsDomain("b.example") {
		t.Error("HostsDomain doesn't follow")
	}
	must(t, s.AddDomain("a.example"))
	_, err = s.Lookup("x", "a.example")
	want(t, err, storage.ErrNotFound)
}

func aliases(t *testing.T, s storage.Store) {
	Account(t, s, "alice")
	set := []storage.Alias{
		{Name: "sales", Domain: Domain, Targets: []string{"alice@" + Domain, "bob@elsewhere.example"}},
		{Name: "", Domain: Domain, Targets: []string{"alice@" + Domain}},
	}
	must(t, s.SetAliases(set))
	for _, al := range set {
		a, err := s.Lookup(al.Name, Domain)
		must(t, err)
		if a.Account != 0 || !slices.Equal(a.Targets, al.Targets) {
			t.Errorf("alias %q: %+v", al.Name, a)
		}
	}
	set[0].Targets = []string{"carol@" + Domain}
	must(t, s.SetAliases(set[:1]))
	a, err := s.Lookup("sales", Domain)
	must(t, err)
	if !slices.Equal(a.Targets, set[0].Targets) {
		t.Errorf("alias that was set again: %+v", a)
	}
	want(t, s.SetAliases([]storage.Alias{{Name: "alice", Domain: Domain, Targets: set[0].Targets}}), storage.ErrExists)
	want(t, s.SetAliases([]storage.Alias{{Name: "x", Domain: "other.example", Targets: set[0].Targets}}), storage.ErrNotFound)
	want(t, s.SetAliases([]storage.Alias{{Name: "x", Domain: Domain}}), storage.ErrInvalid)
	want(t, s.RemoveDomain(Domain), storage.ErrInUse)
	must(t, s.RemoveAlias("sales", Domain))
	want(t, s.RemoveAlias("sales", Domain), storage.ErrNotFound)
	want(t, s.RemoveAlias("alice", Domain), storage.ErrNotFound)
}

// copyAndForward: an alias that names itself and an account may have one name, whichever
// came first, and each goes without the other.
func copyAndForward(t *testing.T, s storage.Store) {
	id := Account(t, s, "ruth")
	on := storage.Alias{Name: "ruth", Domain: Domain, Targets: []string{"Ruth@" + Domain, "Ruth.K@far.example"}}
	looks := func(account storage.AccountID, targets []string) {
		t.Helper()
		a, err := s.Lookup("ruth", Domain)
		must(t, err)
		if a.Account != account || !slices.Equal(a.Targets, targets) {
			t.Errorf("the address is %+v", a)
		}
		var as, ls int
		must(t, s.Accounts(func(storage.Account) bool { as++; return true }))
		must(t, s.Aliases(func(l storage.Alias) bool { ls += len(l.Targets); return true }))
		if (as == 1) != (account != 0) || ls != len(targets) {
			t.Errorf("%d accounts, %d targets of aliases are listed", as, ls)
		}
	}
	must(t, s.SetAliases([]storage.Alias{on}))
	looks(id, on.Targets)
	must(t, s.SetPassword(id, "another", ""))
	looks(id, on.Targets)
	must(t, s.RemoveAlias("ruth", Domain))
	looks(id, nil)
	want(t, s.RemoveAlias("ruth", Domain), storage.ErrNotFound)
	must(t, s.SetAliases([]storage.Alias{on}))
	must(t, s.RemoveAccount(id))
	looks(0, on.Targets)
	id = Account(t, s, "ruth")
	looks(id, on.Targets)
	if a, err := s.Account(id); err != nil || a.Name != "ruth" {
		t.Errorf("%+v %v", a, err)
	}
	_, err := s.AddAccount(storage.NewAccount{Name: "ruth", Domain: Domain})
	want(t, err, storage.ErrExists)
	want(t, s.SetAliases([]storage.Alias{{Name: "ruth", Domain: Domain, Targets: []string{"x@far.example"}}}), storage.ErrExists)
	quoted := storage.Alias{Name: "k l", Domain: Domain, Targets: []string{`"k l"@` + Domain, "x@far.example"}}
	must(t, s.SetAliases([]storage.Alias{quoted}))
	Account(t, s, "k l")
}

// folded: names that are not in their one form are refused, not kept twice.
func folded(t *testing.T, s storage.Store) {
	Account(t, s, "ruth")
	for _, d := range []string{"Other.example", "café.example"} {
		want(t, s.AddDomain(d), storage.ErrInvalid)
	}
	must(t, s.AddDomain("xn--caf-dma.example"))
	for _, a := range []storage.NewAccount{{Name: "Zed", Domain: Domain}, {Name: "zoe\u0308", Domain: Domain}, {Name: "zed", Domain: "café.example"}} {
		_, err := s.AddAccount(a)
		want(t, err, storage.ErrInvalid)
	}
	want(t, s.SetAliases([]storage.Alias{{Name: "Zed", Domain: Domain, Targets: []string{"x@y"}}}), storage.ErrInvalid)
}

func sorted(t *testing.T, s storage.Store) {
	must(t, s.AddDomain("b.example"))
	must(t, s.AddDomain("a.example"))
	for _, name := range []string{"zoe", "adam", "mia"} {
		for _, domain := range []string{"b.example", "a.example"} {
			_, err := s.AddAccount(storage.NewAccount{Name: name, Domain: domain})
			must(t, err)
			must(t, s.SetAliases([]storage.Alias{{Name: name + "2", Domain: domain, Targets: []string{"x@y"}}}))
		}
	}
	var as, ls []string
	must(t, s.Accounts(func(a storage.Account) bool { as = append(as, a.Domain+" "+a.Name); return true }))
	must(t, s.Aliases(func(a storage.Alias) bool { ls = append(ls, a.Domain+" "+a.Name); return true }))
	if len(as) != 6 || !slices.IsSorted(as) || len(ls) != 6 || !slices.IsSorted(ls) {
		t.Errorf("Accounts %q, Aliases %q", as, ls)
	}
	n := 0
	must(t, s.Accounts(func(storage.Account) bool { n++; return false }))
	if n != 1 {
		t.Errorf("Accounts went on %d times after false", n)
	}
}
