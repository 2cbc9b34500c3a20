package router

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postrider/storage"
)

// book is a directory for tests: what a Router asks of one.
type book struct {
	storage.Directory // the methods that change it are not called
	domains           []string
	names             map[string]storage.Address
	accounts          []storage.Account
}

func (b *book) HostsDomain(d string) bool {
	return slices.Contains(b.domains, d) || b.DomainAlias(d) != ""
}

// DomainAlias implements storage.Directory: "alias-of.x" leads to x.
func (b *book) DomainAlias(d string) string {
	if of, ok := strings.CutPrefix(d, "alias-of."); ok && slices.Contains(b.domains, of) {
		return of
	}
	return ""
}

func (b *book) Lookup(local, domain string) (storage.Address, error) {
	a, ok := b.names[local+"@"+domain]
	if !ok {
		return a, storage.ErrNotFound
	}
	return a, nil
}

func (b *book) Account(id storage.AccountID) (storage.Account, error) {
	if id == 0 || int(id) > len(b.accounts) {
		return storage.Account{}, storage.ErrNotFound
	}
	return b.accounts[id-1], nil
}

func (b *book) Accounts(f func(storage.Account) bool) error {
	for _, a := range b.accounts {
		if !f(a) {
			break
		}
	}
	return nil
}

// newBook makes accounts of plain addresses and aliases of "name: target target", which
// may have the name of an account that was made before.
func newBook(domains string, entries ...string) *book {
	b := &book{domains: strings.Fields(domains), names: map[string]storage.Address{}}
	for _, e := range entries {
		name, targets, isAlias := strings.Cut(e, ": ")
		if isAlias {
			b.names[name] = storage.Address{Account: b.names[name].Account, Targets: strings.Fields(targets)}
			continue
		}
		local, domain := cut(name)
		id := storage.AccountID(len(b.accounts) + 1)
		b.accounts = append(b.accounts, storage.Account{ID: id, Name: local, Domain: domain})
		b.names[local+"@"+domain] = storage.Address{Account: id}
	}
	return b
}

var settings = Settings{
	Hostname: "mail.a.example", DefaultDomain: "a.example", Delimiter: '+',
	Literals: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
}

func TestRoute(t *testing.T) {
	b := newBook("a.example b.example c.example",
		"alice@a.example", "bob@a.example", "c++@a.example", "bob@b.example", "a b@a.example", "jürgen@a.example",
		"team@a.example: alice@a.example bob@a.example alice@a.example",
		"all@a.example: team@a.example bob@b.example",
		"ring1@a.example: ring2@a.example", "ring2@a.example: ring1@a.example",
		"halfring@a.example: halfring@a.example bob@a.example",
		"gone@a.example: nobody@a.example",
		"tag+ged@a.example: bob@b.example",
		"tagto@a.example: alice+list@a.example",
		"@b.example: alice@a.example",
		"postmaster@b.example: bob@b.example",
	)
	r := New(b, settings)
	f := func(addr, want string) {
		t.Helper()
		local, domain := cut(addr)
		targets, o := r.Route([]byte(local), []byte(domain), nil)
		var got []string
		for _, x := range targets {
			acc, _ := b.Account(x.Account)
			s := acc.Name + "@" + acc.Domain
			if x.Expanded != "" {
				s += "(" + x.Expanded + ")"
			}
			got = append(got, s)
		}
		text := strings.Join(got, " ")
		if o != Local {
			text = o.String() + text
		}
		if text != want {
			t.Errorf("%s: got %q, want %q", addr, text, want)
		}
	}
	f("alice@a.example", "alice@a.example")
	f("ALICE@A.Example", "alice@a.example")
	f("JÜRGEN", "jürgen@a.example")
	f("alice", "alice@a.example")
	f("alice@mail.a.example", "alice@a.example")
	f("alice@[127.0.0.1]", "alice@a.example")
	f("alice@[IPv6:::1]", "alice@a.example")
	f("alice@[192.0.2.1]", "not ours")
	f("alice@[", "not ours")
	f("alice+x+y@a.example", "alice@a.example")
	f("c++@a.example", "c++@a.example")
	f("+alice@a.example", "unknown")
	f(`"a b"@a.example`, "a b@a.example")
	f("nobody@a.example", "unknown")
	f(`""@a.example`, "unknown")
	f(`""@b.example`, "unknown") // the catch-all's key is not an address
	f("nobody@b.example", "alice@a.example(alice@a.example)")
	f("bob+t@b.example", "bob@b.example")
	f("team@a.example", "alice@a.example(alice@a.example) bob@a.example(bob@a.example)")
	f("team+x@a.example", "alice@a.example(alice@a.example) bob@a.example(bob@a.example)")
	f("all@a.example", "alice@a.example(alice@a.example) bob@a.example(bob@a.example) bob@b.example(bob@b.example)")
	f("ring1@a.example", "alias loop")
	f("halfring@a.example", "bob@a.example(bob@a.example)")
	f("gone@a.example", "unknown")
	f("tag+ged@a.example", "bob@b.example(bob@b.example)")
	f("tagto@a.example", "alice@a.example(alice+list@a.example)")
	f("x@other.example", "not ours")
	f("bob%b.example@a.example", "unknown")
	f("b.example!bob@a.example", "unknown")
	// RFC 5321 section 4.5.1: postmaster is always taken, in any case and domain.
	f("Postmaster", "alice@a.example(alice@a.example)")
	f("postmaster@c.example", "alice@a.example(alice@a.example)")
	f("POSTMASTER@b.example", "bob@b.example(bob@b.example)")
}

func TestPostmasterOfTheDefaultDomain(t *testing.T) {
	r := New(newBook("a.example b.example", "alice@a.example", "postmaster@a.example"), settings)
	for _, domain := range []string{"", "a.example", "b.example"} {
		targets, o := r.Route([]byte("PostMaster"), []byte(domain), nil)
		if o != Local || len(targets) != 1 || targets[0].Account != 2 {
			t.Errorf("postmaster@%s: %v %v", domain, targets, o)
		}
	}
	empty := New(newBook("a.example"), settings)
	if _, o := empty.Route([]byte("postmaster"), nil, nil); o != Unknown {
		t.Errorf("a store without accounts: %v", o)
	}
}

func TestRouteMergesWithEarlierRecipients(t *testing.T) {
	r := New(newBook("a.example", "alice@a.example", "bob@a.example", "team@a.example: alice@a.example bob@a.example"), settings)
	dst, _ := r.Route([]byte("bob"), nil, nil)
	dst, o := r.Route([]byte("team"), nil, dst)
	if o != Local || len(dst) != 2 || dst[0].Account != 2 || dst[1].Account != 1 {
		t.Errorf("got %v %v", dst, o)
	}
	if again, o := r.Route([]byte("ALICE"), nil, dst); o != Local || len(again) != 2 {
		t.Errorf("got %v %v", again, o)
	}
}

func TestExpansionHasALimit(t *testing.T) {
	targets := make([]string, MaxExpansion+1)
	for i := range targets {
		targets[i] = fmt.Sprintf("u%d@a.example", i)
	}
	b := newBook("a.example", "u0@a.example")
	b.names["big@a.example"] = storage.Address{Targets: targets}
	dst, o := New(b, settings).Route([]byte("big"), nil, nil)
	if o != Loop || len(dst) != 0 {
		t.Errorf("got %d targets, %v", len(dst), o)
	}
	for i := range 2 * maxDepth {
		b.names[fmt.Sprintf("d%d@a.example", i)] = storage.Address{Targets: []string{fmt.Sprintf("d%d@a.example", i+1)}}
	}
	if _, o := New(b, settings).Route([]byte("d0"), nil, nil); o != Loop {
		t.Errorf("a chain of %d aliases: %v", 2*maxDepth, o)
	}
}

func TestVerifyAndExpand(t *testing.T) {
	r := New(newBook("a.example", "alice@a.example", "a b@a.example", "team@a.example: alice@a.example"), settings)
	f := func(arg, want, expanded string) {
		t.Helper()
		if got, o := r.Verify([]byte(arg)); got != want {
			t.Errorf("VRFY %s: %q (%v), want %q", arg, got, o, want)
		}
		if got, o := r.Expand([]byte(arg)); strings.Join(got, ",") != expanded {
			t.Errorf("EXPN %s: %q (%v), want %q", arg, got, o, expanded)
		}
	}
	f("Alice", "<alice@a.example>", "<alice@a.example>")
	f("<alice+x@a.example>", "<alice@a.example>", "<alice@a.example>")
	f("Alice A. <alice@a.example>", "<alice@a.example>", "<alice@a.example>")
	f(`"a b"`, `<"a b"@a.example>`, `<"a b"@a.example>`)
	f("team", "<team@a.example>", "<alice@a.example>")
	f("nobody", "", "")
	f("x@other.example", "", "")
	f("", "", "")
	f("<", "", "")
}

func TestLogin(t *testing.T) {
	r := New(newBook("a.example b.example", "alice@a.example", "bob@b.example", "team@a.example: alice@a.example"), settings)
	f := func(user string, want storage.AccountID) {
		t.Helper()
		if acc, err := r.Login([]byte(user)); acc.ID != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v %v", user, acc, err)
		}
	}
	f("alice", 1)
	f("Alice@A.EXAMPLE", 1)
	f("bob", 0)
	f("bob@b.example", 2)
	f("team", 0)
	f("alice+x", 0)
	f("", 0)
	f("alice@c.example", 0)
}

// Any set of aliases, circles and holes among them, gives each account at most
// once, comes to an end, and has the same members as the plain closure.
func TestRouteProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		entries := []string{"a@a.example", "b@a.example"}
		graph := map[string][]string{}
		for _, n := range []string{"c", "d", "e", "f"} {
			if rapid.Bool().Draw(t, "alias") {
				graph[n] = rapid.SliceOfN(name, 1, 4).Draw(t, "targets")
				entries = append(entries, n+"@a.example: "+strings.Join(graph[n], "@a.example ")+"@a.example")
			}
		}
		r := New(newBook("a.example", entries...), settings)
		asked := name.Draw(t, "asked")
		got, o := r.Route([]byte(strings.ToUpper(asked)), []byte("A.EXAMPLE"), nil)

		want, seen := map[storage.AccountID]bool{}, map[string]bool{}
		for todo := []string{asked}; len(todo) > 0; todo = todo[1:] {
			if n := todo[0]; !seen[n] {
				seen[n] = true
				todo = append(todo, graph[n]...)
			}
		}
		for i, n := range []string{"a", "b"} {
			if seen[n] {
				want[storage.AccountID(i+1)] = true
			}
		}
		if len(got) != len(want) || (o == Local) != (len(want) > 0) {
			t.Fatalf("%s in %v: got %v %v, want %v", asked, graph, got, o, want)
		}
		for _, x := range got {
			if !want[x.Account] {
				t.Fatalf("%s in %v: got %v, want %v", asked, graph, got, want)
			}
		}
	})
}

func TestPlainHitAllocatesOnce(t *testing.T) {
	r := New(newBook("a.example", "alice@a.example"), settings)
	r.dir = &still{r.dir}
	local, domain := []byte("alice"), []byte("a.example")
	dst := make([]Target, 0, 8)
	if n := testing.AllocsPerRun(100, func() { dst, _ = r.Route(local, domain, dst[:0]) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// still is a directory that allocates nothing.
type still struct{ storage.Directory }

func (*still) HostsDomain(d string) bool { return true }

func (*still) DomainAlias(string) string { return "" }
func (*still) Lookup(local, domain string) (storage.Address, error) {
	return storage.Address{Account: 1}, nil
}
