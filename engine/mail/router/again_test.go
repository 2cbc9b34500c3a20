package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/storage"
)

// forwarding are aliases that lead elsewhere in all ways that there are.
func forwarding() *Router {
	return New(newBook("a.example b.example", "alice@a.example", "bob@a.example", "jörg@a.example", "postmaster@a.example",
		"list@a.example: x@far.example y@other.example alice@a.example",
		"outer@a.example: list@a.example z@far.example bob@a.example",
		"shell@a.example: list@a.example",
		"bob@a.example: bob@a.example bob@phone.example",
		"jörg@a.example: jörg@a.example j@phone.example",
		"staff@a.example: alice@a.example bob@a.example",
		"near@a.example: alice@a.example",
		"ring@a.example: gnir@a.example ring@far.example",
		"gnir@a.example: ring@a.example alice@a.example",
		"@b.example: all@far.example",
		"some@a.example: any@b.example alice@a.example",
	), Settings{Hostname: "mx.a.example", DefaultDomain: "a.example", Delimiter: '+'})
}

// sent shows the queue entries with their Delivered-To.
func (p *Placement) sent() (shown []string) {
	for _, e := range p.Relayed {
		for _, to := range e.Recipients {
			shown = append(shown, strings.TrimSpace(strings.TrimPrefix(e.Envelope.Front, "Delivered-To: "))+" > "+to.ForwardPath)
		}
	}
	slices.Sort(shown)
	return shown
}

// The copy that leaves names the alias that mail came for, in one form for all its
// spellings.
func TestDeliveredToOfAnAlias(t *testing.T) {
	r := forwarding()
	for to, want := range map[string]string{
		"list@a.example":           "list@a.example > x@far.example, list@a.example > y@other.example",
		"LIST+Tag@A.Example":       "list@a.example > x@far.example, list@a.example > y@other.example",
		`"list"@[192.0.2.9]`:       "",
		"outer@a.example":          "outer@a.example > bob@phone.example, outer@a.example > x@far.example, outer@a.example > y@other.example, outer@a.example > z@far.example",
		"bob@a.example":            "bob@a.example > bob@phone.example",
		"JÖRG@a.example":           "j+C3+B6rg@a.example > j@phone.example",
		"jo\u0308rg+x@a.example":   "j+C3+B6rg@a.example > j@phone.example",
		"Who.Ever+tag@b.example":   "who.ever+tag@b.example > all@far.example",
		"some@a.example":           "some@a.example > all@far.example",
		"near@a.example":           "",
		"alice@a.example":          "",
		"somebody@far.example":     " > somebody@far.example",
		"ring@a.example":           "ring@a.example > ring@far.example",
		`"\l\i\s\t"@mx.a.example`:  "list@a.example > x@far.example, list@a.example > y@other.example",
		"list@A\u3002example":      "list@a.example > x@far.example, list@a.example > y@other.example",
		"postmaster@a.example":     "",
		"\"no such\"@b.example":    `"no such"@b.example > all@far.example`,
		"\"no   such\"@b.example":  `"no   such"@b.example > all@far.example`,
		"staff@a.example":          "staff@a.example > bob@phone.example",
		"shell+1+2+3@mx.a.example": "shell@a.example > x@far.example, shell@a.example > y@other.example",
	} {
		p := new(Placement)
		rcpt := parsed(t, to)
		if o := p.Add(r, &rcpt, true); o != Local && o != NotOurs {
			t.Errorf("%s: %v", to, o)
		}
		if to == `"list"@[192.0.2.9]` {
			continue // not this host: it is relayed as it is
		}
		if got := strings.Join(p.sent(), ", "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", to, got, want)
		}
		p.Seal(storage.Envelope{Front: "X: y\r\n"})
		for _, e := range p.Relayed {
			if !strings.HasSuffix(e.Envelope.Front, "X: y\r\n") || len(e.Envelope.Front) > storage.MaxFront-storage.MaxSignature {
				t.Errorf("%s: Front %q", to, e.Envelope.Front)
			}
		}
	}
}

// The longest alias fits before the message beside the longest signature.
func TestDeliveredToOfALongAlias(t *testing.T) {
	domain := strings.Repeat(strings.Repeat("d", 49)+".", 5) + "test"
	for _, local := range []string{strings.Repeat("ö", 32), strings.Repeat(`"`, 64), strings.Repeat(`ö"`, 21), strings.Repeat("ö", 120)} {
		text := mark(mailbox{"", domain}, mailbox{local, domain})
		front := message.AppendDeliveredTo(nil, []byte(text))
		if len(front) > storage.MaxFront-storage.MaxSignature || len(local) <= maxLocal && !strings.HasSuffix(text, "@"+domain) {
			t.Errorf("%d octets: %s", len(front), text)
		}
		var head message.Head
		head.Feed(front)
		if !head.DeliveredTo([]byte(text)) {
			t.Errorf("%s is not found again", text)
		}
	}
}

// again adds recipients as RCPT has them and places them again, now that the header is
// known.
func again(t *testing.T, r *Router, header string, args ...string) (looped int, p *Placement) {
	t.Helper()
	p = new(Placement)
	var rcpts []smtp.RcptArgs
	for _, arg := range args {
		rcpt, refused := smtp.ParseRcpt([]byte("TO:"+arg), smtp.ExtDSN, true)
		if refused != nil {
			t.Fatalf("%s: %s", arg, refused.Text)
		}
		if o := p.Add(r, &rcpt, true); o != Local && o != NotOurs {
			t.Fatalf("%s: %v", arg, o)
		}
		rcpt.ORcpt = nil // a session has it no more
		rcpts = append(rcpts, rcpt)
	}
	var head message.Head
	head.Feed([]byte(header + "Subject: x\r\n\r\n"))
	p.Been = head.DeliveredTo
	return p.Again(r, rcpts, true), p
}

// An alias at which the message has been sends it nowhere; what is beside it goes on.
func TestForwardLoop(t *testing.T) {
	r := forwarding()
	f := func(header string, to []string, looped int, want ...string) {
		t.Helper()
		n, p := again(t, r, header, to...)
		var got []string
		for _, to := range p.Targets {
			got = append(got, fmt.Sprintf("maildrop %d", to.Account))
		}
		for _, e := range p.Relayed {
			for _, to := range e.Recipients {
				got = append(got, fmt.Sprintf("%s %s %d %s", e.Domain, to.ForwardPath, to.Notify, to.ORcpt))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if n != looped || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q to %q: %d looped\n got %q\nwant %q", header, to, n, got, want)
		}
	}
	const been = "Delivered-To: list@a.example\r\n"
	returned := "a.example list@a.example 0 "

	f("", []string{"<list@a.example>"}, 0, "maildrop 1", "far.example x@far.example 0 rfc822;list@a.example", "other.example y@other.example 0 rfc822;list@a.example")
	f("Delivered-To: lis@a.example\r\nX-Delivered-To: list@a.example\r\n", []string{"<list@a.example>"}, 0,
		"maildrop 1", "far.example x@far.example 0 rfc822;list@a.example", "other.example y@other.example 0 rfc822;list@a.example")

	// Each spelling of the alias is the alias; the sender's words come back as they were.
	f(been, []string{"<list@a.example>"}, 1, returned)
	f("DELIVERED-TO:  <LIST@A.example>\r\n", []string{"<List+tag@A.example> NOTIFY=FAILURE ORCPT=rfc822;q@z.example"}, 1,
		fmt.Sprintf("a.example List+tag@A.example %d rfc822;q@z.example", smtp.NotifyFailure))
	f("Delivered-To: j+C3+B6rg@a.example\r\n", []string{"<JO\u0308RG@a.example>"}, 1, "a.example JO\u0308RG@a.example 0 ")
	f("Delivered-To: bob@a.example\r\n", []string{"<bob@a.example>"}, 1, "a.example bob@a.example 0 ")
	f("Delivered-To: w@b.example\r\n", []string{"<W@b.example>"}, 1, "b.example W@b.example 0 ")

	// An alias of the alias.
	f(been, []string{"<shell@a.example>"}, 1, "a.example shell@a.example 0 ")
	f(been, []string{"<outer@a.example>"}, 0, "maildrop 2", "far.example z@far.example 0 rfc822;outer@a.example",
		"phone.example bob@phone.example 0 rfc822;outer@a.example", "a.example list@a.example 0 rfc822;outer@a.example")
	f("Delivered-To: gnir@a.example\r\n", []string{"<ring@a.example>"}, 0,
		"far.example ring@far.example 0 rfc822;ring@a.example", "a.example gnir@a.example 0 rfc822;ring@a.example")

	// Recipients with another way get the message: a maildrop, a mailbox elsewhere.
	f(been, []string{"<list@a.example>", "<alice@a.example>", "<x@far.example> ORCPT=rfc822;x@old.example", "<u@new.example> ORCPT=rfc822;u@old.example"}, 1,
		returned, "maildrop 1", "far.example x@far.example 0 ", "new.example u@new.example 0 rfc822;u@old.example")
	f(been, []string{"<x@far.example> ORCPT=rfc822;x@old.example", "<list@a.example>", "<near@a.example>"}, 1,
		returned, "maildrop 1", "far.example x@far.example 0 rfc822;x@old.example")

	// Aliases that send nothing elsewhere, and accounts, are in no loop.
	f("Delivered-To: near@a.example\r\nDelivered-To: alice@a.example\r\n", []string{"<near@a.example>", "<alice@a.example>"}, 0, "maildrop 1")

	// More fields than are remembered.
	f(strings.Repeat("Delivered-To: a@z.example\r\n", 32), []string{"<shell@a.example>"}, 0,
		"maildrop 1", "far.example x@far.example 0 rfc822;shell@a.example", "other.example y@other.example 0 rfc822;shell@a.example")
	f(strings.Repeat("Delivered-To: a@z.example\r\n", 33), []string{"<list@a.example>", "<near@a.example>"}, 1, "maildrop 1", returned)
}

// What is put under the address of the alias ends there: the attempt to deliver it is
// refused again, whatever the alias is by then.
func TestForwardLoopEnds(t *testing.T) {
	r := forwarding()
	for _, to := range []string{"<list@a.example>", "<outer@a.example>", "<shell+x@a.example>", "<some@a.example>", "<ring@a.example>", "<jörg@a.example>", "<q@b.example>"} {
		header := "Delivered-To: list@a.example\r\nDelivered-To: any@b.example\r\nDelivered-To: q@b.example\r\n" +
			"Delivered-To: ring@a.example\r\nDelivered-To: j+C3+B6rg@a.example\r\nDelivered-To: some@a.example\r\n"
		_, p := again(t, r, header, to, "<near@a.example>")
		for _, e := range p.Relayed {
			if !r.dir.HostsDomain(e.Domain) {
				continue
			}
			for i := range e.Recipients {
				rcpt := parsed(t, e.Recipients[i].ForwardPath)
				next := Placement{Been: p.Been}
				if o := next.Add(r, &rcpt, true); o != ForwardLoop || len(next.Relayed)+len(next.Targets) != 0 {
					t.Errorf("%s: %s again: %v, %d places", to, rcpt.To, o, len(next.Relayed)+len(next.Targets))
				}
			}
		}
	}
}

// The octets that are booked don't shrink when recipients are placed again.
func TestAgainIsBooked(t *testing.T) {
	p := new(Placement)
	r := forwarding()
	var rcpts []smtp.RcptArgs
	for i := range 100 {
		rcpt, _ := smtp.ParseRcpt(fmt.Appendf(nil, "TO:<list+%d@a.example> ORCPT=rfc822;%s@a.example", i, strings.Repeat("o", 400)), smtp.ExtDSN, true)
		p.Add(r, &rcpt, false)
		rcpts = append(rcpts, rcpt)
	}
	before := p.Octets()
	p.Been = func([]byte) bool { return true }
	if n := p.Again(r, rcpts, false); n != 100 || len(p.Relayed) != 1 || len(p.Relayed[0].Recipients) != 100 {
		t.Errorf("%d looped, %d entries", n, len(p.Relayed))
	}
	if after := p.Octets(); after > 2*before {
		t.Errorf("%d octets were booked, %d are there", before, after)
	}
	if before < 100*400 {
		t.Errorf("%d octets for 100 ORCPT of 400", before)
	}
}

// NOTIFY=SUCCESS that is passed over, and granted when all is known.
func TestNoSuccess(t *testing.T) {
	r := forwarding()
	p := &Placement{NoSuccess: true}
	var rcpts []smtp.RcptArgs
	for _, arg := range []string{"<alice@a.example> NOTIFY=SUCCESS ORCPT=rfc822;a@old.example", "<alice+b@a.example>", "<list@a.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;l@old.example",
		"<z@a.example.far> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;z@old.example", "<postmaster@a.example> NOTIFY=FAILURE"} {
		rcpt, refused := smtp.ParseRcpt([]byte("TO:"+arg), smtp.ExtDSN, true)
		if refused != nil {
			t.Fatal(refused.Text)
		}
		p.Add(r, &rcpt, true)
		rcpt.ORcpt = nil
		rcpts = append(rcpts, rcpt)
	}
	show := func() (shown []string) {
		for _, to := range p.Targets {
			shown = append(shown, fmt.Sprintf("maildrop %d", to.Account))
		}
		for _, e := range p.Relayed {
			for _, to := range e.Recipients {
				shown = append(shown, fmt.Sprintf("%s %s %d %s", e.Domain, to.ForwardPath, to.Notify, to.ORcpt))
			}
		}
		slices.Sort(shown)
		return shown
	}
	if !p.WantsSuccess() || p.Successes() != 0 {
		t.Error("SUCCESS is not passed over")
	}
	same(t, show(), "a.example.far z@a.example.far 4 rfc822;z@old.example", "far.example x@far.example 8 rfc822;l@old.example", "maildrop 1", "maildrop 4",
		"other.example y@other.example 8 rfc822;l@old.example")
	booked := p.Octets()
	p.NoSuccess = false
	if n := p.Again(r, rcpts, true); n != 0 || p.WantsSuccess() || p.Successes() != 2 {
		t.Errorf("%d looped, %d successes", n, p.Successes())
	}
	same(t, show(), "a.example alice@a.example 2 rfc822;a@old.example", "a.example list@a.example 10 rfc822;l@old.example",
		"a.example.far z@a.example.far 6 rfc822;z@old.example", "maildrop 1", "maildrop 4")
	if now := p.Octets(); now > booked {
		t.Errorf("%d octets were booked, %d are there", booked, now)
	}
}
