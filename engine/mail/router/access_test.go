package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postrider/codec/smtp"
	"postrider/storage"
)

// flagged sets what an account takes.
func (b *book) flagged(address string, refused, full bool) {
	a := b.names[address]
	a.Refused, a.Full = refused, full
	b.names[address] = a
}

// An account that takes no mail, or has no room, is told of at once; as a member of an alias
// it gets its copy by way of the queue, and the others get theirs.
func TestAccountsThatTakeNothing(t *testing.T) {
	b := newBook("a.example", "off@a.example", "full@a.example", "both@a.example", "ok@a.example",
		"team@a.example: off@a.example full@a.example ok@a.example", "none@a.example: off@a.example", "later@a.example: off@a.example full@a.example")
	b.flagged("off@a.example", true, false)
	b.flagged("full@a.example", false, true)
	b.flagged("both@a.example", true, true)
	r := New(b, Settings{DefaultDomain: "a.example", Delimiter: '+'})
	f := func(to string, notify smtp.Notify, want Outcome, maildrops int, queued ...string) {
		t.Helper()
		rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to+">"), 0, true)
		if refused != nil {
			t.Fatal(refused)
		}
		rcpt.Notify = notify
		var p Placement
		o := p.Add(r, &rcpt, true)
		var paths []string
		for _, e := range p.Relayed {
			for _, q := range e.Recipients {
				paths = append(paths, e.Domain+" "+q.ForwardPath)
			}
		}
		if o != want || len(p.Targets) != maildrops || !slices.Equal(paths, queued) {
			t.Errorf("%s: %v, %d maildrops, queued %q; want %v, %d, %q", to, o, len(p.Targets), paths, want, maildrops, queued)
		}
	}
	f("ok@a.example", 0, Local, 1)
	f("off@a.example", 0, Disabled, 0)
	f("Off+tag@A.example", smtp.NotifySuccess, Disabled, 0)
	f("full@a.example", 0, Full, 0)
	f("full@a.example", smtp.NotifySuccess, Full, 0)
	f("both@a.example", 0, Disabled, 0)
	f("team@a.example", 0, Local, 1, "a.example off@a.example", "a.example full@a.example")
	f("none@a.example", 0, Disabled, 0)
	f("later@a.example", 0, Full, 0)
	for _, address := range []string{"off@a.example", "full@a.example"} {
		if !r.Owns(b.names[address].Account, address) {
			t.Errorf("%s is not its account's", address)
		}
		if got, o := r.Verify([]byte(address)); o != Local || got != "<"+address+">" {
			t.Errorf("%s: %q %v", address, got, o)
		}
	}
}

// An address in a domain alias is the one of its name in the domain, for mail, aliases,
// catch-alls, logins and senders.
func TestDomainAliases(t *testing.T) {
	b := newBook("a.example b.example", "ann@a.example", "bob@b.example", "team@a.example: ann@alias-of.a.example bob@alias-of.b.example", "@b.example: bob@b.example")
	r := New(b, Settings{DefaultDomain: "a.example", Delimiter: '+'})
	f := func(address string, want ...string) {
		t.Helper()
		local, domain, _ := strings.Cut(address, "@")
		targets, o := r.Route([]byte(local), []byte(domain), nil)
		var got []string
		for _, target := range targets {
			a, _ := b.Account(target.Account)
			got = append(got, a.Name+"@"+a.Domain)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || (o == Local) != (len(want) > 0) {
			t.Errorf("%s leads to %q, %v; want %q", address, got, o, want)
		}
	}
	f("ann@alias-of.a.example", "ann@a.example")
	f("Ann+x@ALIAS-of.A.example", "ann@a.example")
	f("bob@alias-of.a.example")
	f("whoever@alias-of.b.example", "bob@b.example")
	f("team@alias-of.a.example", "ann@a.example", "bob@b.example")
	if a, err := r.Login([]byte("ann@alias-of.a.example")); err != nil || a.Name != "ann" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := r.Login([]byte("ann@alias-of.b.example")); err == nil {
		t.Error("a login of another domain")
	}
	if r.LoginName([]byte("ANN@alias-of.a.example")) != r.LoginName([]byte("ann")) {
		t.Error("guesses at one account count under two names")
	}
	ann := storage.AccountID(1)
	if !r.Owns(ann, "ann@alias-of.a.example") || r.Owns(ann, "bob@alias-of.b.example") {
		t.Error("the sender is not the account's")
	}
	if hop, _ := r.NextHop(&Transports{}, "alias-of.a.example", ""); hop.Kind != Maildrop {
		t.Errorf("the next hop is %+v", hop)
	}
}
