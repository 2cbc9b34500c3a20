package server

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/storage"
)

// couple is two servers that send each other the mail for their domains: a.test at the
// first, b.test and c.test at the other. mbrain@a.test is told at the first.
func couple(t *testing.T, a, b []string) (first, second *fixture) {
	t.Helper()
	// The port of the second has to be known before the first is there.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	run := func(to int, listen string, domains, aliases []string) *fixture {
		f := start(t, func(c *config.Config) {
			if listen != "" {
				c.SMTP.Listen[0].Addr = listen
			}
			c.Relay.Retry = []time.Duration{50 * time.Millisecond}
			for _, d := range []string{"a.test", "b.test", "c.test"} {
				c.Relay.Transports = append(c.Relay.Transports, fmt.Sprintf("%s=[127.0.0.1]:%d", d, to))
			}
		}, nil)
		for _, d := range domains {
			if err := f.store.AddDomain(d); err != nil {
				t.Fatal(err)
			}
		}
		for _, line := range aliases {
			name, targets, _ := strings.Cut(line, ": ")
			local, domain, _ := strings.Cut(name, "@")
			if err := f.store.SetAliases([]storage.Alias{{Name: local, Domain: domain, Targets: strings.Fields(targets)}}); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	first = run(port, "", []string{"a.test"}, append(a, "mbrain@a.test: mbrain@localhost"))
	second = run(int(first.SMTPAddrs()[0].Port()), fmt.Sprintf("127.0.0.1:%d", port), []string{"b.test", "c.test"}, b)
	return first, second
}

// write sends a message to a recipient.
func (f *fixture) write(t *testing.T, to string) {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@a.test>", "250 ")
	p.say("RCPT TO:"+to, "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: round\r\n\r\nhello\r\n.", "250 ")
	p.say("QUIT", "221 ")
}

// quiet waits until neither server has anything to send, and returns how many messages
// both have taken.
func quiet(t *testing.T, a, b *fixture) (taken int64) {
	t.Helper()
	for {
		before := a.smtpsrv.Stats.Messages.Load() + b.smtpsrv.Stats.Messages.Load()
		a.drained(t)
		b.drained(t)
		n, _ := a.store.QueueTotal()
		m, _ := b.store.QueueTotal()
		after := a.smtpsrv.Stats.Messages.Load() + b.smtpsrv.Stats.Messages.Load()
		if n+m == 0 && before == after {
			return after
		}
	}
}

// Aliases of two servers that lead to each other, and fork: the copies don't double.
func TestForwardingLoops(t *testing.T) {
	f := func(name string, a, b []string, to string, most int64, atJsmith int) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := couple(t, a, b)
			first.write(t, to)
			if n := quiet(t, first, second); n > most {
				t.Errorf("%d messages were taken because of one, want %d at most", n, most)
			}
			got := first.bodies(t, "jsmith")
			if len(got) != atJsmith {
				t.Errorf("jsmith has %d messages, want %d", len(got), atJsmith)
			}
			notices := first.bodies(t, "mbrain")
			if len(notices) == 0 {
				t.Error("the sender was not told")
			}
			for _, n := range notices {
				loop := strings.Contains(n, "Status: 5.4.6\r\n") && strings.Contains(strings.ToLower(n), "mail forwarding loop")
				if success := strings.Contains(n, "Action: delivered\r\n"); !loop && !(success && strings.Contains(to, "SUCCESS")) {
					t.Errorf("the notification is\n%s", n)
				}
			}
		})
	}
	f("fork", []string{"list@a.test: x@b.test y@c.test jsmith@localhost"}, []string{"x@b.test: list@a.test", "y@c.test: list@a.test"}, "<list@a.test>", 5, 1)
	f("forks", []string{"list@a.test: x@b.test y@c.test jsmith@localhost"},
		[]string{"x@b.test: list@a.test LIST+x@a.test y@c.test", "y@c.test: List@a.test x@b.test list+y@a.test"}, "<LIST+tag@A.test>", 8, 1)
	f("alias of an alias", []string{"outer@a.test: inner@a.test jsmith@localhost", "inner@a.test: x@b.test"},
		[]string{"x@b.test: outer@a.test inner@a.test"}, "<outer@a.test>", 6, 1)
	f("copy and forward", []string{"jsmith@localhost: jsmith@localhost j@b.test", "js@a.test: jsmith@localhost"},
		[]string{"j@b.test: js@a.test"}, "<js@a.test>", 3, 1)
	f("catch-all", []string{"@a.test: all@b.test", "j@a.test: jsmith@localhost"}, []string{"all@b.test: any@a.test j@a.test"}, "<some@a.test>", 5, 1)
	f("success is told of", []string{"list@a.test: x@b.test y@c.test jsmith@localhost"}, []string{"x@b.test: list@a.test", "y@c.test: list@a.test"},
		"<list@a.test> NOTIFY=SUCCESS,FAILURE", 9, 1)
	f("beyond ASCII", []string{"jörg@a.test: x@b.test jsmith@localhost"}, []string{"x@b.test: jo\u0308rg+1@a.test JÖRG@a.test"}, "<x@b.test>", 5, 1)
}

// At the end of the message it is known whether all recipients are in the loop.
func TestForwardLoopAtTheEndOfData(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Relay.Transports = []string{"far.test=error:not now"} }, nil)
	f.aliases(t, "list: x@far.test jsmith@localhost", "other: y@far.test", "near: jsmith@localhost")
	const been = "Delivered-To: <LIST@localhost>\r\n"
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	try := func(header, want string, to ...string) {
		t.Helper()
		p.say("MAIL FROM:<mbrain@localhost>", "250 ")
		for _, r := range to {
			p.say("RCPT TO:"+r, "250 ")
		}
		p.say("DATA", "354 ")
		p.say(header+"Subject: x\r\n\r\n"+strings.Repeat("a line\r\n", 3)+".", want)
	}
	try(been, "554 5.4.6 Mail forwarding loop for list+tag@localhost", "<list+tag@localhost>")
	try(strings.Repeat("Delivered-To: a@z.test\r\n", 33), "554 5.4.6 Mail forwarding loop for other@localhost", "<other@localhost>", "<list@localhost> NOTIFY=SUCCESS")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<list@localhost>", "250 ")
	p.send("BDAT " + fmt.Sprint(len(been)+4) + " LAST\r\n" + been + "\r\nx\n")
	p.expect("550 5.5.2") // a line that ends with LF alone comes first
	if n, _ := f.store.QueueTotal(); n != 0 || len(f.bodies(t, "jsmith")) != 0 {
		t.Fatalf("%d entries of messages that were refused", n)
	}
	// What is beside the loop gets the mail, once, and the sender is told of the loop.
	try(been, "250 ", "<list@localhost> NOTIFY=FAILURE ORCPT=rfc822;was@z.test", "<near@localhost>")
	f.drained(t)
	if n := len(f.bodies(t, "jsmith")); n != 1 {
		t.Errorf("jsmith has %d messages", n)
	}
	got := f.bodies(t, "mbrain")
	if len(got) != 1 || !strings.Contains(got[0], "mail forwarding loop for list@localhost") || !strings.Contains(got[0], "Original-Recipient: rfc822; was@z.test\r\n") ||
		!strings.Contains(got[0], "Status: 5.4.6\r\n") || strings.Contains(got[0], "far.test") {
		t.Errorf("%d notifications: %q", len(got), got)
	}
	// Success is told of by the queue, which looks at the header itself.
	try("", "250 ", "<near@localhost> NOTIFY=SUCCESS")
	f.drained(t)
	if got := f.bodies(t, "mbrain"); len(got) != 2 || !strings.Contains(got[1], "Action: delivered") {
		t.Errorf("%d notifications: %q", len(got), got)
	}
}

// Clients that leave while the recipients of their message are placed again: each message
// is stored once or not at all, and nothing stays booked (see start).
func TestLeavingWhileRecipientsArePlaced(t *testing.T) {
	f := start(t, nil, nil)
	f.aliases(t, "list: x@far.test jsmith@localhost", "near: jsmith@localhost")
	for i := range 50 {
		p := f.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.say("MAIL FROM:<mbrain@localhost>", "250 ")
		for n := range 30 {
			p.say(fmt.Sprintf("RCPT TO:<list+%d@localhost>", n), "250 ")
		}
		p.say("RCPT TO:<near@localhost> NOTIFY=NEVER", "250 ")
		p.say("DATA", "354 ")
		p.send(fmt.Sprintf("Delivered-To: list@localhost\r\nSubject: %d\r\n\r\n.\r\n", i))
		if i%2 == 0 {
			p.SetLinger(0) // a reset, which the server hears of at once
		}
		p.Close()
	}
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<near@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.say("Subject: last\r\n\r\n.", "250 ")
	f.drained(t)
	met := make(map[string]bool)
	for _, m := range f.bodies(t, "jsmith") {
		_, subject, _ := strings.Cut(m, "Subject: ")
		if met[subject] {
			t.Errorf("twice: %q", m)
		}
		met[subject] = true
	}
	if !met["last\r\n\r\n"] {
		t.Errorf("the last message is not there: %v", met)
	}
}
