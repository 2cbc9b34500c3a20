package smtpclient

import (
	"strings"
	"testing"

	"postrider/codec/smtp"
)

// The tests of this file are named after the sentence of the RFC that they hold
// the machine to. What needs a longer dialogue is a transcript in testdata.

// receive plays what the peer sends, a line each; "~" is the end of the message. It
// returns what was sent.
func receive(p *player, said ...string) string {
	for _, s := range said {
		if s == "~" {
			p.bodyDone()
			continue
		}
		p.left = p.feedAll(append(p.left, s+"\r\n"...))
	}
	return string(p.sent)
}

// begun opens a session and begins a transaction.
func begun(t *testing.T, words string) *player {
	p := open(t, map[string]string{"begin": words})
	p.Greet()
	return p
}

// RFC 5321 section 3.1: the server speaks first, and all of its greeting is read
// before the client answers.
func TestNothingIsSaidBeforeTheGreeting(t *testing.T) {
	p := begun(t, "")
	if sent := receive(p, "220-mx.example"); sent != "" {
		t.Errorf("sent %q", sent)
	}
	if sent := receive(p, "220 ready"); sent != "EHLO client.example\r\n" {
		t.Errorf("sent %q", sent)
	}
}

// RFC 5321 section 4.1.1.1: "a client MUST issue HELO or EHLO before starting a
// mail transaction", EHLO if it can.
func TestEHLOComesFirst(t *testing.T) {
	p := begun(t, "")
	if sent := receive(p, "220 x", "250 x"); !strings.HasPrefix(sent, "EHLO client.example\r\nMAIL FROM:<joe@client.example>\r\n") {
		t.Errorf("sent %q", sent)
	}
}

// RFC 5321 section 4.1.1.11: parameters belong to extensions; parameters of
// extensions that the server did not offer are not used.
func TestNoParameterThatIsNotOffered(t *testing.T) {
	p := begun(t, "size=10 body=8bit ret=full envid=x to=a@mx.example notify=never orcpt=rfc822;a@mx.example")
	if sent := receive(p, "220 x", "250 x", "250 ok", "250 ok"); strings.Contains(sent, "> ") || strings.Contains(sent, "=") {
		t.Errorf("sent %q", sent)
	}
}

// RFC 5321 section 4.1.1.10: "The sender MUST NOT intentionally close the
// transmission channel until it sends a QUIT command, and it SHOULD wait until it
// receives the reply".
func TestQuitBeforeClose(t *testing.T) {
	for _, said := range [][]string{
		{"554 no"},
		{"220 x", "550 no", "550 no"},
		{"220 x", "451 no"},
	} {
		p := begun(t, "")
		if sent := receive(p, said...); !strings.HasSuffix(sent, "QUIT\r\n") || p.closed {
			t.Errorf("%q: sent %q, closed %t", said, sent, p.closed)
		}
		if receive(p, "221 bye"); !p.closed {
			t.Errorf("%q: not closed after the reply to QUIT", said)
		}
	}
}

// RFC 5321 section 4.2: a client "MUST determine its actions only by the reply
// code, not by the text".
func TestTheTextOfAReplyMeansNothing(t *testing.T) {
	p := begun(t, "")
	receive(p, "220 421 550 go away", "250-x 500", "250 550 PIPELINING", "250 550 5.1.1 unknown", "250 421 closing", "354 250 queued", "~", "250 554 5.7.1 refused")
	if results := strings.Join(p.effects, "\n"); !strings.Contains(results, "delivered <ann@mx.example> 2.0.0") {
		t.Error(results)
	}
}

// RFC 5321 section 4.2.1: a client "that receives an unexpected code, will be able
// to determine its next action ... by examining this first digit". Some codes are
// known for their enhanced code.
func TestTheFirstDigitDecides(t *testing.T) {
	f := func(code string, want Verdict, status string) {
		t.Helper()
		p := begun(t, "")
		receive(p, "220 x", "250 x", "250 ok", code+" text")
		p.call(func() { p.s.Lost(&p.e) })
		// An accepted recipient is lost with the connection.
		if r := p.s.outcome.Results[0]; r.Verdict != want || r.Status != status {
			t.Errorf("%s: %s %s", code, verdicts[r.Verdict], r.Status)
		}
	}
	f("250", Temporary, "4.4.2")
	f("299", Temporary, "4.4.2")
	f("400", Temporary, "4.0.0")
	f("499", Temporary, "4.0.0")
	f("500", Permanent, "5.5.2")
	f("501", Permanent, "5.5.4")
	f("503", Permanent, "5.5.1")
	f("521", Permanent, "5.3.2")
	f("530", Permanent, "5.7.0")
	f("535", Permanent, "5.7.8")
	f("556", Permanent, "5.1.10")
	f("550-5.7.1 a\r\n550 5.7.26", Permanent, "5.7.26")
	f("550 4.7.1", Permanent, "5.0.0")
	f("550", Permanent, "5.0.0")
	f("551", Permanent, "5.1.6")
	f("599", Permanent, "5.0.0")
}

// RFC 5321 section 4.5.3.2: "An SMTP client MUST provide a timeout mechanism. It
// MUST use per-command timeouts".
func TestEachStepHasItsTimeout(t *testing.T) {
	p := begun(t, "")
	f := func(said string, want Wait) {
		t.Helper()
		if said != "" {
			receive(p, said)
		}
		if got := p.s.Waiting(); got != want {
			t.Errorf("after %q: waiting for %s, want %s", said, waits[got], waits[want])
		}
	}
	f("", WaitGreeting)
	f("220 x", WaitCommand)
	f("250 x", WaitCommand)
	f("250 ok", WaitCommand)
	f("250 ok", WaitDataInit)
	f("354 go", WaitDataBlock)
	f("~", WaitDataDone)
	f("250 ok", WaitNothing)
}

// RFC 5321 section 3.8: 421 may come at any time, and a connection may go away at
// any time: "treat the mail transaction as if a 451 response had been received".
func TestEveryStepSurvivesTheEnd(t *testing.T) {
	steps := []string{"220 x", "250 x", "250 ok", "250 ok", "354 go", "~"}
	for n := range len(steps) + 1 {
		for _, end := range []string{"421", "lost", "timeout", "garbage"} {
			p := begun(t, "")
			receive(p, steps[:n]...)
			switch end {
			case "421":
				receive(p, "421 4.3.2 bye")
			case "lost":
				p.call(func() { p.s.Lost(&p.e) })
			case "timeout":
				p.TimeOut()
			case "garbage":
				receive(p, "?")
			}
			_, faulty := p.s.Fault()
			r := p.s.outcome.Results[0]
			if r.Verdict != Temporary || r.Scope != ScopeHost || !faulty || !p.closed || p.s.Ready() {
				t.Errorf("%s after %q: %+v", end, steps[:n], r)
			}
			if doubt := n == len(steps) && end != "421"; p.s.outcome.Doubt != doubt {
				t.Errorf("%s after %q: doubt is %t", end, steps[:n], !doubt)
			}
		}
	}
}

// RFC 5321 section 4.5.2: the message ends with CRLF "." CRLF, and the client sends
// the dot only after the whole message.
func TestTheDotComesAfterTheMessage(t *testing.T) {
	p := begun(t, "")
	before := receive(p, "220 x", "250 x", "250 ok", "250 ok", "354 go")
	if !strings.HasSuffix(before, "DATA\r\n") {
		t.Fatalf("sent %q", before)
	}
	if after := receive(p, "~"); after != before+".\r\n" {
		t.Errorf("sent %q after the message", after[len(before):])
	}
}

// RFC 5321 section 4.5.3.1.10: too many recipients are "a temporary, rather than
// permanent, failure", and the message is sent to the recipients that were taken.
func TestTooManyRecipientsIsTemporary(t *testing.T) {
	for _, reply := range []string{"452 too many", "552 too many", "452 4.5.3 too many", "550 5.5.3 too many"} {
		p := begun(t, "to=a@mx.example to=b@mx.example")
		receive(p, "220 x", "250 x", "250 ok", "250 ok", reply, "354 go", "~", "250 ok")
		r := p.s.outcome.Results
		if r[0].Verdict != Delivered || r[1].Verdict != Temporary || !r[1].Again {
			t.Errorf("%s: %+v", reply, r)
		}
	}
}

// RFC 5321 section 2.3.8: nothing but CRLF ends a line, and no address holds one.
func TestNoAddressHoldsALineEnd(t *testing.T) {
	for _, bad := range []string{"a@b\r\nDATA", "a@b\n", "\r", "a\x00@b", "a@b>\r\nRCPT TO:<c@d", `"a` + "\n" + `"@b`, `"a\` + "\n" + `"@b`, `"a`, `"a\`, "a b@c", "a@b> X=Y", "<a@b", "\x7f@b", ""} {
		p := begun(t, "none")
		p.begin(&Transaction{ReversePath: bad, Recipients: []Recipient{{ForwardPath: bad}, {ForwardPath: "ok@mx.example"}}})
		sent := receive(p, "220 x", "250 x", "250 ok")
		if r := p.s.outcome.Results; bad != "" && (sent != "EHLO client.example\r\n" || r[1].Status != "5.1.7") {
			t.Errorf("from %q: sent %q, %+v", bad, sent, r)
		}

		p = begun(t, "none")
		p.begin(&Transaction{Recipients: []Recipient{{ForwardPath: bad}, {ForwardPath: "ok@mx.example"}}})
		sent = receive(p, "220 x", "250-x", "250 DSN", "250 ok")
		if sent != "EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<ok@mx.example>\r\n" {
			t.Errorf("to %q: sent %q", bad, sent)
		}
	}
}

// RFC 3461 section 4: a parameter's value is xtext and nothing else.
func TestNoParameterHoldsALineEnd(t *testing.T) {
	for _, bad := range []string{"x\r\nQUIT", "x y", "x\x00", "x=y", "x\x7f"} {
		p := begun(t, "none")
		p.begin(&Transaction{EnvID: bad, Recipients: []Recipient{{ForwardPath: "a@b", ORcpt: "rfc822;" + bad, Notify: smtp.NotifyDelay}}})
		sent := receive(p, "220 x", "250-x", "250 DSN", "250 ok")
		if sent != "EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b> NOTIFY=DELAY\r\n" {
			t.Errorf("%q: sent %q", bad, sent)
		}
	}
}

// A 250 that came with the 354 is not the reply to the message, also when the caller
// sends the message before it feeds the rest of its input.
func TestAnEarlyYesDeliversNothing(t *testing.T) {
	p := begun(t, "")
	receive(p, "220 x", "250-x", "250 PIPELINING")
	in := []byte("250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n")
	n := p.Feed(in)
	if p.e.Ask != AskBody || string(in[n:]) != "250 queued\r\n" {
		t.Fatalf("asked %d, left %q", p.e.Ask, in[n:])
	}
	p.bodyDone()
	p.Feed(in[n:])
	if o := p.s.outcome; o.Results[0].Verdict != Temporary || !o.Doubt || !p.closed {
		t.Errorf("%+v", o)
	}
}

// The caller may be in the middle of sending when the message is refused: what it
// reports about the message afterwards is ignored.
func TestTheEndOfARefusedMessageIsNothing(t *testing.T) {
	p := begun(t, "")
	sent := receive(p, "220 x", "250 x", "250 ok", "250 ok", "354 go", "552 5.3.4 too large")
	p.bodyDone()
	p.call(func() { p.s.BodyFailed(&p.e) })
	p.call(func() { p.s.Lost(&p.e) })
	p.call(func() { p.s.Quit(&p.e) })
	if r := p.s.outcome.Results[0]; r.Status != "5.3.4" || string(p.sent) != sent || p.ended != 1 {
		t.Errorf("%+v, sent %q", r, p.sent)
	}
}

// What the peer sends after the reply to a message belongs to no later command:
// the session is not Ready any more.
func TestNothingIsBegunWhenThePeerHasMoreToSay(t *testing.T) {
	for _, more := range []string{"250 queued\r\n", "421 bye\r\n", "bye\r\n", "2"} {
		p := begun(t, "")
		receive(p, "220 x", "250 x", "250 ok", "250 ok", "354 go", "~")
		in := []byte("250 queued\r\n" + more)
		n := p.Feed(in)
		if p.s.outcome.Results[0].Verdict != Delivered || p.s.Ready() {
			t.Errorf("%q: %+v, ready %t", more, p.s.outcome, p.s.Ready())
		}
		if p.Feed(in[n:]); len(more) > 1 && !p.closed {
			t.Errorf("%q: not closed", more)
		}
		if fault, ok := p.s.Fault(); ok {
			t.Errorf("%q: a fault of the host: %s", more, fault.Reply)
		}
	}
}

// The wishes of a Transaction that the caller gets wrong are its bugs.
func TestBugsPanic(t *testing.T) {
	f := func(name string, call func(p *player)) {
		t.Helper()
		defer func() {
			if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
				t.Errorf("%s: panic %q", name, s)
			}
		}()
		call(begun(t, ""))
	}
	f("two transactions", func(p *player) { p.s.Begin(testTransaction(), &p.e) })
	f("BodyDone unasked", func(p *player) { p.s.BodyDone(&p.e) })
	f("nobody", func(p *player) {
		p.s.Init(&p.cfg)
		p.s.Begin(&Transaction{}, &p.e)
	})
	f("closed", func(p *player) {
		p.call(func() { p.s.Lost(&p.e) })
		p.s.Begin(testTransaction(), &p.e)
	})
}
