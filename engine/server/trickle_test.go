package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
)

// trickle sends text octet by octet, again and again, until the server ends the connection,
// and returns what the server said. It fails when the server waits on.
func (p *peer) trickle(text string) string {
	p.t.Helper()
	type end struct {
		said string
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		b, err := io.ReadAll(p.r)
		ended <- end{string(b), err}
	}()
	for i := 0; ; i++ {
		select {
		case e := <-ended:
			if errors.Is(e.err, os.ErrDeadlineExceeded) {
				p.t.Fatalf("an octet now and then keeps the session: %d octets were sent", i)
			}
			return e.said
		case <-time.After(20 * time.Millisecond):
			_, _ = io.WriteString(p, text[i%len(text):][:1]) // it fails after the end
		}
	}
}

// A command has one deadline, from the reply before it. What comes of the command does not
// renew it, wherever the session is.
func TestAnOctetDoesNotRenewTheTimeOfACommand(t *testing.T) {
	f := start(t, func(c *config.Config) {
		withTLS(c)
		c.SMTP.CommandTimeout, c.TLS.HandshakeTimeout = time.Second, time.Second
		c.POP3.IdleTimeout = 4 * time.Second // more than keepAhead
	}, nil)
	for range 3 {
		f.deliver(t, "mbrain@localhost", "\r\nx\r\n")
	}
	hello := clientHello(t)
	smtp := func(t *testing.T, lines ...string) *peer {
		p := f.dialSMTP(t)
		p.expect("220 ")
		for _, l := range lines {
			p.send(l + "\r\n")
			p.line()
			p.lines()
		}
		return p
	}
	const late = "421 4.4.2 mx.test timeout exceeded"
	for name, c := range map[string]struct {
		open func(t *testing.T) *peer
		text string
		want string
	}{
		"SMTP: the first command": {func(t *testing.T) *peer {
			p := f.dialSMTP(t)
			p.expect("220 ")
			return p
		}, "x", late},
		"SMTP: a command after others": {func(t *testing.T) *peer { return smtp(t, "EHLO c") }, "MAIL FROM:<", late},
		"SMTP: a line that is too long": {func(t *testing.T) *peer {
			p := smtp(t, "EHLO c")
			p.send(strings.Repeat("x", 5000))
			return p
		}, "x", late},
		"SMTP: a response to AUTH": {func(t *testing.T) *peer {
			p := smtp(t, "EHLO c")
			p.say("AUTH PLAIN", "334 ")
			return p
		}, "A", late},
		"SMTP within TLS": {func(t *testing.T) *peer {
			p := f.dialSMTPS(t, modern)
			p.expect("220 ")
			return p
		}, "x", late},
		"the handshake after STARTTLS": {func(t *testing.T) *peer {
			p := smtp(t, "EHLO c")
			p.say("STARTTLS", "220 ")
			return p
		}, hello, ""},
		"the handshake of SMTPS": {func(t *testing.T) *peer { return dial(t, f.SMTPSAddrs()[0].String()) }, hello, ""},
		"POP3: the first command": {func(t *testing.T) *peer {
			p := f.dialPOP3(t)
			p.expect("+OK")
			return p
		}, "x", ""},
		"POP3: a response to AUTH": {func(t *testing.T) *peer {
			p := f.dialPOP3(t)
			p.expect("+OK")
			p.say("AUTH PLAIN", "+ ")
			return p
		}, "A", ""},
		"POP3: with messages read ahead": {func(t *testing.T) *peer {
			p := f.login(t, "mbrain")
			p.say("RETR 1", "+OK")
			p.listing()
			return p
		}, "x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.open(t).trickle(c.text); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What was read ahead for a client is given up after a reply, also when octets of its next
// command come. The client goes on all the same.
func TestAnOctetDoesNotKeepWhatWasReadAhead(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	for range 3 {
		f.deliver(t, "mbrain@localhost", "\r\nx\r\n")
	}
	p := f.login(t, "mbrain")
	for i := 1; i <= 2; i++ {
		p.say(fmt.Sprint("RETR ", i), "+OK")
		p.listing()
	}
	if f.budget.Bulk.Used() == 0 {
		t.Fatal("nothing was read ahead")
	}
	until(t, "the buffer is given up", func() bool {
		p.send(" ")
		time.Sleep(20 * time.Millisecond)
		return f.budget.Bulk.Used() == 0
	})
	p.say("", "-ERR")
	p.say("RETR 3", "+OK")
	p.listing()
}

// A message has to come at smtp.min_data_rate, whatever way it comes.
func TestAnOctetDoesNotRenewTheTimeOfAMessage(t *testing.T) {
	f := start(t, func(c *config.Config) {
		c.SMTP.DataTimeout, c.SMTP.MinDataRate = time.Second, 1<<20
	}, nil)
	for name, c := range map[string]struct{ lines, text string }{
		"DATA":            {"MAIL FROM:<>\nRCPT TO:<mbrain@localhost>\nDATA", "x"},
		"DATA, lines":     {"MAIL FROM:<>\nRCPT TO:<mbrain@localhost>\nDATA", "x\r\n"},
		"BDAT":            {"MAIL FROM:<>\nRCPT TO:<mbrain@localhost>\nBDAT 100000", "x"},
		"BDAT, the last":  {"MAIL FROM:<>\nRCPT TO:<mbrain@localhost>\nBDAT 3\nxx\nBDAT 100000 LAST", "x"},
		"BDAT, not taken": {"BDAT 100000", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := f.dialSMTP(t)
			p.expect("220 ")
			p.say("EHLO c", "250 ")
			for _, l := range strings.Split(c.lines, "\n") {
				p.send(l + "\r\n")
			}
			if got := p.trickle(c.text); !strings.Contains(got, "421 4.4.2 mx.test timeout exceeded") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// output is what a session has written, of the only one that is open.
type output struct {
	pending int
	written int64
	said    bool
	waits   conn.Wait
}

func (f *fixture) output() (o output) {
	f.sessions(func(s *conn.Session) {
		n := s.Conn.Pending()
		said, _ := s.Renewal()
		o = output{n, s.Conn.Taken() + int64(n), said, s.Waits}
	})
	return o
}

// stuff sends commands, each with a long reply, until the kernel does not take all of the
// replies to them.
func (f *fixture) stuff(p *peer, command string) {
	p.t.Helper()
	for o := f.output(); o.pending == 0; {
		before := o.written
		p.send(strings.Repeat(command, 4))
		until(p.t, "replies", func() bool { o = f.output(); return o.written > before })
	}
}

// A peer that sends commands and takes the replies octet by octet is cut off, also while
// little is kept for it.
func TestAPeerThatTakesRepliesOctetByOctetIsCutOff(t *testing.T) {
	for _, c := range []struct{ name, lead, long, short string }{
		{"SMTP", "", "HELP\r\n", "NOOP\r\n"},
		{"POP3", "USER mbrain\r\nPASS secret\r\n", "CAPA\r\n", "NOOP\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(c *config.Config) {
				c.SMTP.CommandTimeout, c.POP3.IdleTimeout = 5*time.Second, 5*time.Second
			}, nil)
			addr := f.SMTPAddrs()[0]
			if c.name == "POP3" {
				addr = f.POP3Addrs()[0]
			}
			p := dialNarrow(t, addr.String())
			p.line()
			p.send(c.lead)
			f.stuff(p, c.long)
			for begun := time.Now(); f.group.Conns() > 0; time.Sleep(20 * time.Millisecond) {
				_, _ = io.WriteString(p, c.short)
				_, _ = p.r.ReadByte()
				if o := f.output(); o.waits != conn.Nothing {
					t.Fatalf("the session waits (%d): it is cut off for another reason", o.waits)
				}
				if time.Since(begun) > hang {
					t.Fatal("the session goes on")
				}
			}
			if n := f.edge.Stats.Timeouts.Load(); n != 1 {
				t.Errorf("%d timeouts", n)
			}
		})
	}
}

// A client that has not taken all replies when a command comes, and takes them later, has
// the time from that command on.
func TestRepliesThatAreTakenLateRenewTheTime(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *config.Config) { c.SMTP.CommandTimeout = 5 * time.Second }, nil)
	p := dialNarrow(t, f.SMTPAddrs()[0].String())
	p.expect("220 ")
	f.stuff(p, "HELP\r\n")
	before := f.output().written
	p.send("NOOP\r\n")
	until(t, "the reply to NOOP", func() bool { return f.output().written > before })
	if o := f.output(); !o.said || o.pending == 0 {
		t.Fatalf("%+v", o)
	}
	for !strings.HasPrefix(p.line(), "250 2.0.0") { // that of NOOP
	}
	until(t, "the time is renewed", func() bool { return !f.output().said && f.group.Conns() == 1 })
	p.say("NOOP", "250 ")
}

// A client that reads its replies has the whole time for each command, and for the next one
// after a message.
func TestAReplyRenewsTheTimeOfACommand(t *testing.T) {
	f := start(t, nil, nil)
	p := f.dialSMTP(t)
	p.expect("220 ")
	owed := int64(-1)
	for _, l := range []string{"EHLO c", "NOOP", "MAIL FROM:<>", "RCPT TO:<mbrain@localhost>", "DATA", "x\r\n.", "NOOP"} {
		p.say(l, "")
		f.sessions(func(s *conn.Session) {
			now := s.Conn.Taken() + int64(s.Conn.Pending())
			said, next := s.Renewal()
			if l != "DATA" && (!s.Timed || said || next != now || next <= owed) {
				t.Errorf("after %q: timed %v, said %v, owed %d of %d, before %d", l, s.Timed, said, next, now, owed)
			}
			owed = next
		})
	}
}
