package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postrider/storage"
)

// An account that has an alias of its own name keeps a copy and sends one on.
func TestCopyAndForward(t *testing.T) {
	r := New(newBook("a.example", "ruth@a.example", "paul@a.example", "vera@a.example",
		"ruth@a.example: ruth@a.example Ruth.K@far.example",
		"paul@a.example: vera@a.example paul@a.example",
		"vera@a.example: vera@a.example paul@a.example",
		"two@a.example: ruth@a.example vera@a.example",
		"gone@a.example: gone@a.example paul+x@a.example",
	), settings)
	got, _ := place(t, r, false, "<ruth@a.example>")
	same(t, got, "maildrop 1 ruth@a.example", "far.example <Ruth.K@far.example> notify=0 orcpt=rfc822;ruth@a.example")
	got, _ = place(t, r, false, "<RUTH+tag@a.example>", "<vera@a.example>")
	same(t, got, "maildrop 1 ruth@a.example", "maildrop 3 vera@a.example", "maildrop 2 paul@a.example", "far.example <Ruth.K@far.example> notify=0 orcpt=rfc822;RUTH+2Btag@a.example")
	got, _ = place(t, r, false, "<two@a.example>")
	same(t, got, "maildrop 1 ruth@a.example", "maildrop 3 vera@a.example", "maildrop 2 paul@a.example", "far.example <Ruth.K@far.example> notify=0 orcpt=rfc822;two@a.example")
	got, _ = place(t, r, false, "<gone@a.example>") // its own account is not there: see Dead
	same(t, got, "maildrop 3 vera@a.example", "maildrop 2 paul@a.example")
	if acc, err := r.Login([]byte("ruth")); acc.ID != 1 || err != nil {
		t.Errorf("%v %v", acc, err)
	}
	if d := r.Dead(storage.Alias{Name: "gone", Domain: "a.example", Targets: []string{"gone@a.example", "paul@a.example"}}); len(d) != 1 || d[0] != (Dead{"gone@a.example", "a.example", Unknown}) {
		t.Errorf("%v", d)
	}
	if d := r.Dead(storage.Alias{Name: "ruth", Domain: "a.example", Targets: []string{"ruth@a.example", "x@far.example"}}); len(d) != 0 {
		t.Errorf("%v", d)
	}
}

// The sender is notified of members that lead nowhere; the others get the mail.
func TestDeadMembers(t *testing.T) {
	r := New(newBook("a.example b.example c.example", "ruth@a.example",
		"crew@a.example: ruth@a.example left@a.example Left@a.example",
		"nest@a.example: crew@a.example hollow@a.example",
		"hollow@a.example: moved@a.example moved2@a.example",
		"spin@a.example: spin2@a.example", "spin2@a.example: spin@a.example",
		"odd@a.example: spin@a.example ruth@a.example",
		"tour@a.example: tour2@a.example ruth@a.example", "tour2@a.example: tour@a.example",
		"@b.example: left@b.example",
		"mixed@a.example: who@b.example ruth@a.example",
		"@c.example: left@c.example ruth@a.example",
	), settings)
	f := func(rcpt string, want ...string) {
		t.Helper()
		got, _ := place(t, r, false, rcpt)
		same(t, got, want...)
	}
	orcpt := func(to string) string { return " notify=0 orcpt=rfc822;" + to }
	f("<crew@a.example>", "maildrop 1 ruth@a.example", "a.example <left@a.example>"+orcpt("crew@a.example"))
	f("<nest@a.example>", "maildrop 1 ruth@a.example", "a.example <left@a.example>"+orcpt("nest@a.example"),
		"a.example <moved@a.example>"+orcpt("nest@a.example"), "a.example <moved2@a.example>"+orcpt("nest@a.example"))
	f("<odd@a.example>", "maildrop 1 ruth@a.example", "a.example <spin@a.example>"+orcpt("odd@a.example"))
	f("<tour@a.example>", "maildrop 1 ruth@a.example") // what tour2 gets, ruth gets
	f("<tour2@a.example>", "maildrop 1 ruth@a.example")
	f("<spin@a.example>", "<spin@a.example>: alias loop")
	f("<hollow@a.example>", "<hollow@a.example>: unknown")
	f("<any@b.example>", "<any@b.example>: unknown")
	f("<mixed@a.example>", "maildrop 1 ruth@a.example", "b.example <left@b.example>"+orcpt("mixed@a.example"))
	f("<any@c.example>", "maildrop 1 ruth@a.example") // the catch-all catches its own dead member
	if d := r.Dead(storage.Alias{Name: "spin3", Domain: "a.example", Targets: []string{"spin3@a.example"}}); len(d) != 1 || d[0].Outcome != Loop {
		t.Errorf("%v", d)
	}
}

// What is sent to a dead member never reaches a mailbox: the queue would send it in
// circles. And every member that gets nothing is told of, or leads in a circle to one.
func TestDeadMembersComeToAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
		entries := []string{"a@a.example", "b@a.example"}
		for _, n := range []string{"b", "c", "d", "e", "f", ""} {
			if rapid.Bool().Draw(t, "alias") {
				targets := rapid.SliceOfN(name, 1, 4).Draw(t, "targets")
				if n == "b" {
					targets = append(targets, "b") // an account's alias names it
				}
				entries = append(entries, n+"@a.example: "+strings.Join(targets, "@a.example ")+"@a.example")
			}
		}
		r := New(newBook("a.example", entries...), settings)
		_, dead, o := r.Resolve([]byte(name.Draw(t, "asked")), []byte("a.example"), nil)
		if o == NotOurs {
			t.Fatal("not ours")
		}
		for _, d := range dead {
			local, domain := cut(d.Mailbox)
			if _, again := r.Route([]byte(local), []byte(domain), nil); again != d.Outcome && o == Local {
				t.Fatalf("%q: the dead member %v is routed: %v", entries, d, again)
			}
		}
	})
}

// The expansion takes linear time: many circles among many aliases.
func TestCirclesOfManyAliases(t *testing.T) {
	b := newBook("a.example", "ruth@a.example")
	var all []string
	for i := range 90 {
		all = append(all, fmt.Sprintf("m%d@a.example", i))
	}
	for i, name := range all {
		b.names[name] = storage.Address{Targets: slices.Concat(all[i:], all[:i])}
	}
	b.names["top@a.example"] = storage.Address{Targets: append(slices.Clone(all), "ruth@a.example")}
	_, dead, o := New(b, settings).Resolve([]byte("top"), nil, nil)
	if o != Local || len(dead) != len(all) {
		t.Errorf("%v, %d dead members", o, len(dead))
	}
}

// One domain has one form: for routing, logins, destinations.
func TestInternationalDomains(t *testing.T) {
	r := New(newBook("a.example xn--caf-dma.example", "info@xn--caf-dma.example", "zoë@xn--caf-dma.example"), settings)
	for _, to := range []string{"info@café.example", "INFO@CAFÉ.EXAMPLE", "info@cafe\u0301.example", "Info+x@XN--CAF-DMA.example", "zoe\u0308@café.example", "ZOË@xn--caf-dma.example"} {
		local, domain := cut(to)
		if got, o := r.Route([]byte(local), []byte(domain), nil); o != Local || len(got) != 1 {
			t.Errorf("%s: %v %v", to, got, o)
		}
		if !strings.Contains(to, "+x") {
			if _, err := r.Login([]byte(to)); err != nil {
				t.Errorf("the login %s: %v", to, err)
			}
		}
	}
	if a, b := r.LoginName([]byte("Who@CAFÉ.example")), r.LoginName([]byte("who@xn--caf-dma.example")); a != b {
		t.Errorf("two login names: %s, %s", a, b)
	}
	p := new(Placement)
	for _, to := range []string{"Ann@Teehaus-Grün.example", "Ann@teehaus-gru\u0308n.example", "Ann@xn--teehaus-grn-2hb.example", "ann@xn--teehaus-grn-2hb.example"} {
		rcpt := parsed(t, to)
		p.Add(r, &rcpt, true)
	}
	if len(p.Relayed) != 1 || len(p.Relayed[0].Recipients) != 2 || p.Relayed[0].Domain != "xn--teehaus-grn-2hb.example" {
		for _, e := range p.Relayed {
			t.Errorf("%s: %v", e.Domain, e.Recipients)
		}
	}
}

// Local parts elsewhere keep their case: RFC 5321 section 2.4.
func TestCaseElsewhereIsKept(t *testing.T) {
	r := New(newBook("a.example", "ruth@a.example",
		"desk@a.example: Re+Q7x.Tok@Desk.example re+q7x.tok@desk.example Re+Q7x.Tok@DESK.example ta..ro@phone.example",
		"@a.example: Catch.All@far.example"), settings)
	got, _ := place(t, r, true, "<desk@a.example>", "<Any.Body@A.example>", "<X.Y@Other.Example>", "<X.Y@OTHER.example>", "<x.y@other.example>", "<RUTH@a.example>")
	same(t, got, "maildrop 1 ",
		"desk.example <Re+Q7x.Tok@desk.example> notify=0 orcpt=rfc822;desk@a.example",
		"desk.example <re+q7x.tok@desk.example> notify=0 orcpt=rfc822;desk@a.example",
		`phone.example <"ta..ro"@phone.example> notify=0 orcpt=rfc822;desk@a.example`,
		"far.example <Catch.All@far.example> notify=0 orcpt=rfc822;Any.Body@A.example",
		"other.example <X.Y@Other.Example> notify=0 orcpt=", "other.example <x.y@other.example> notify=0 orcpt=")
}
