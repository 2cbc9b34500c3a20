package server

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/engine/config"
	"postrider/engine/edge/dns/dnstest"
)

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// recipientStep is the step in which package smtpsrv books recipients.
const recipientStep = 8 << 10

// fill sends recipients until one is refused for want of memory, and says how many were
// taken.
func (p *peer) fill(format string, most int) (taken int) {
	p.t.Helper()
	p.say("MAIL FROM:<a@b.test>", "250 ")
	for ; taken < most; taken++ {
		p.send(fmt.Sprintf(format, taken) + "\r\n")
		switch reply := p.line(); {
		case strings.HasPrefix(reply, "452 4.3.1 "):
			return taken
		case !strings.HasPrefix(reply, "250 "):
			p.t.Fatal(reply)
		}
	}
	return taken
}

// Recipients of open transactions are booked in limits.memory: over it 452, for strangers
// sooner than for our own. However the transaction ends, its memory is given back, and what
// was taken is delivered.
func TestRecipientsAreBooked(t *testing.T) {
	long := strings.Repeat("o", 400)
	for name, format := range map[string]string{
		"local":          "RCPT TO:<mbrain+%06d" + strings.Repeat("y", 50) + "@localhost>",
		"local, ORCPT":   "RCPT TO:<mbrain+%06d@localhost> NOTIFY=FAILURE ORCPT=rfc822;" + long,
		"by the queue":   "RCPT TO:<mbrain+%06d@localhost> NOTIFY=SUCCESS ORCPT=rfc822;" + long,
		"relayed":        "RCPT TO:<u%06d@" + strings.Repeat("z", 60) + ".test>",
		"each elsewhere": "RCPT TO:<u@d%06d." + strings.Repeat("z", 60) + ".test> NOTIFY=DELAY",
	} {
		t.Run(name, func(t *testing.T) {
			strange := strings.HasPrefix(name, "local")
			f := start(t, func(c *config.Config) {
				c.Limits.Memory, c.SMTP.MaxRecipients, c.Policy.Verify = 2<<20, 5000, false
				if strange {
					c.SMTP.TrustedNetworks, c.Relay.Networks = nil, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
				}
			}, nil)
			room := f.budget.Held.Max()
			if strange {
				room = f.budget.OfStrangers().Max()
			}
			open := func() *peer {
				p := f.dialSMTP(t)
				p.expect("220 ")
				p.say("EHLO c", "250 ")
				return p
			}
			p := open()
			n := p.fill(format, 5000)
			if used := f.budget.Held.Used(); n < 50 || n == 5000 || used > room || used < room-4*recipientStep-64<<10 {
				t.Errorf("%d recipients were taken, %d octets are booked of %d", n, used, room)
			}
			q := open()
			if m := q.fill(format, 2); m != 2 { // a few cost nothing
				t.Errorf("another session: %d", m)
			}
			if m := q.fillMore(format); m > 300 {
				t.Errorf("another session went on to %d", m)
			}
			p.say("RSET", "250 ")
			eventually(t, "RSET gives nothing back", func() bool { return f.budget.Held.Used() <= 4*recipientStep })
			for i, end := range []string{"EHLO c", "QUIT"} {
				if n := p.fill(format, 5000); n < 50 {
					t.Errorf("before %s: %d recipients", end, n)
				}
				p.send(end + "\r\n")
				eventually(t, end+" gives nothing back", func() bool { return f.budget.Held.Used() <= 4*recipientStep })
				if i == 0 {
					p.lines()
				}
			}
			q.say("QUIT", "221 ")
			if strange {
				p = open()
				if n = p.fill(format, 5000); n < 50 {
					t.Errorf("%d recipients", n)
				}
				p.say("DATA", "354 ")
				p.say("Subject: x\r\n\r\nx\r\n.", "250 ")
				f.login(t, "mbrain").say("STAT", "+OK 1 ")
			}
			eventually(t, "not all is given back", func() bool { return f.budget.Held.Used() == 0 })
			r := open()
			r.fill(format, 5000)
			r.Close()
			eventually(t, "a lost connection gives nothing back", func() bool { return f.budget.Held.Used() == 0 })
		})
	}
}

// fillMore goes on with recipients in an open transaction.
func (p *peer) fillMore(format string) (taken int) {
	for ; taken < 1000; taken++ {
		p.send(fmt.Sprintf(format, 100_000+taken) + "\r\n")
		if !strings.HasPrefix(p.line(), "250 ") {
			return taken
		}
	}
	return taken
}

// leave breaks the connection off. A client that has only closed its side gets the reply.
func (p *peer) leave() {
	p.t.Helper()
	if err := p.link.(*net.TCPConn).SetLinger(0); err != nil {
		p.t.Fatal(err)
	}
	p.Close()
}

// silent is a name server that is silent about slow.test.
func silent(t *testing.T) *dnstest.Server {
	server := dnstest.Start(t, bank...)
	for _, name := range []string{"slow.test", "s._domainkey.slow.test", "_dmarc.slow.test"} {
		server.Behave(name, dns.TypeANY, dnstest.Behaviour{Silent: true})
	}
	return server
}

const slowLetter = "DKIM-Signature: v=1; a=rsa-sha256; d=slow.test; s=s; h=from; bh=AAAA; b=AAAA\r\nFrom: a@slow.test\r\n\r\nx\r\n"

// The memory of checks is booked; a message for whose check there is none hears 452. A
// client that leaves ends its check.
func TestChecksAreBooked(t *testing.T) {
	strange := among(silent(t), func(p *config.Policy) { p.ReverseDNS, p.VerifyTimeout = false, 5*time.Minute })
	f := start(t, func(c *config.Config) { strange(c); c.Limits.Memory = 8 << 20 }, nil)
	var all []*peer
	for i := range 20 {
		p := f.stranger(t, fmt.Sprintf("192.0.2.%d", i+1))
		p.send("MAIL FROM:<a@slow.test>\r\n")
		if reply := p.line(); strings.HasPrefix(reply, "452 4.3.1 ") {
			break
		}
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		p.send(slowLetter + ".\r\n")
		all = append(all, p)
		eventually(t, "no check", func() bool { return f.guard.Checks() == int64(len(all)) })
	}
	room := f.budget.OfStrangers()
	if n := len(all); n < 5 || n == 20 || room.Used() > room.Max() {
		t.Errorf("%d checks are made, %d octets are booked", n, room.Used())
	}
	for _, p := range all {
		p.leave()
	}
	eventually(t, "the checks go on", func() bool { return f.guard.Checks() == 0 && f.budget.Held.Used() == 0 })
	f.stranger(t, "192.0.2.1").sendAs("a@bank.example", "From: a@bank.example\r\n\r\nx\r\n", "250 ")
}

// maxChecksOfClient is the number in BOUNDS.md; package screen has it.
const maxChecksOfClient = 32

// One client has few checks at once, whatever is left for others.
func TestChecksOfOneClient(t *testing.T) {
	f := start(t, among(silent(t), func(p *config.Policy) { p.ReverseDNS, p.VerifyTimeout = false, 5*time.Minute }), nil)
	var all []*peer
	for range maxChecksOfClient + 1 { // the last begins before it is known
		p := f.stranger(t, "192.0.2.7")
		p.say("MAIL FROM:<a@slow.test>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		all = append(all, p)
	}
	for i, p := range all {
		p.send(slowLetter + ".\r\n")
		if i == maxChecksOfClient {
			p.expect("452 4.3.1 ")
		}
		eventually(t, "no check", func() bool { return f.guard.Checks() == int64(min(i+1, maxChecksOfClient)) })
	}
	f.stranger(t, "192.0.2.7").say("MAIL FROM:<a@slow.test>", "452 4.3.1 ")
	f.stranger(t, "192.0.2.8").sendAs("a@bank.example", "From: a@bank.example\r\n\r\nx\r\n", "250 ")
	for _, p := range all {
		p.leave()
	}
	eventually(t, "the checks go on", func() bool { return f.guard.Checks() == 0 })
	f.stranger(t, "192.0.2.7").sendAs("a@bank.example", "From: a@bank.example\r\n\r\nx\r\n", "250 ")
}

// What a client's mail made us ask of name servers is counted against the client.
func TestQuestionsOfOneClient(t *testing.T) {
	f := start(t, among(dnstest.Start(t, bank...), func(p *config.Policy) { p.Questions = "5/1h" }), nil)
	p := f.stranger(t, "192.0.2.9")
	sent := 0
	for i := range 10 {
		p.send(fmt.Sprintf("MAIL FROM:<a@d%d.test>\r\n", i))
		if reply := p.line(); strings.HasPrefix(reply, "450 4.7.1 Too many DNS questions") {
			break
		}
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		p.say("From: a@bank.example\r\n\r\nx\r\n.", "250 ")
		sent++
	}
	if sent < 2 || sent == 10 || f.guard.Stats.QuestionRate.Load() != 1 {
		t.Errorf("%d messages", sent)
	}
	f.stranger(t, "192.0.2.10").sendAs("a@bank.example", "From: a@bank.example\r\n\r\nx\r\n", "250 ")
}
