package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/pop3srv"
	"postrider/storage"
)

// sessions calls see for each open session, on its loop, one after another.
func (f *fixture) sessions(see func(*conn.Session)) {
	var one sync.Mutex                                            // loops run at once
	_ = f.edge.Each(context.Background(), func(s *conn.Session) { // this context does not end
		one.Lock()
		defer one.Unlock()
		see(s)
	})
}

// until calls ok again and again until it says true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > hang {
			t.Fatalf("waited %v for this: %s", hang, what)
		}
	}
}

// dialNarrow connects with buffers of the kernel as small as they get.
func dialNarrow(t testing.TB, addr string) *peer {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10)
		})
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

// maildropIsFree waits until no session holds the maildrop.
func (f *fixture) maildropIsFree(t testing.TB, id storage.AccountID) {
	t.Helper()
	until(t, "the maildrop is free", func() bool {
		l, err := f.store.LockMaildrop(id)
		if err == nil {
			l.Release()
		}
		return err == nil
	})
}

// TestRepliesThatNobodyReadsAreBounded floods both servers with commands and
// reads nothing: what is kept for the peer must stay small. Then it reads, and
// gets the reply to every one.
func TestRepliesThatNobodyReadsAreBounded(t *testing.T) {
	const most = 4 * conn.MaxUnsent
	flood := func(t *testing.T, f *fixture, p *peer, commands string, replies func()) {
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(p, commands)
			sent <- err
		}()
		until(t, "more replies than the peer reads", func() bool {
			var pending int
			f.sessions(func(s *conn.Session) { pending = max(pending, s.Conn.Pending()) })
			if pending > most {
				t.Fatalf("%d octets are kept for a peer that does not read", pending)
			}
			return pending > conn.MaxUnsent
		})
		for range 50 { // it must not grow on
			f.sessions(func(s *conn.Session) {
				if n := s.Conn.Pending(); n > most {
					t.Errorf("%d octets are kept for a peer that does not read", n)
				}
			})
		}
		replies()
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	t.Run("SMTP", func(t *testing.T) {
		f := start(t, nil, nil)
		p := dialNarrow(t, f.SMTPAddrs()[0].String())
		p.expect("220 ")
		const n = 20000
		flood(t, f, p, strings.Repeat("HELP\r\n", n)+"QUIT\r\n", func() {
			for range n {
				p.expect("214 ")
			}
			p.expect("221 ")
			p.end()
		})
	})
	t.Run("SMTP, half-closed", func(t *testing.T) {
		f := start(t, nil, nil)
		p := dialNarrow(t, f.SMTPAddrs()[0].String())
		p.expect("220 ")
		const n = 3000
		flood(t, f, p, strings.Repeat("HELP\r\n", n), func() {
			if err := p.CloseWrite(); err != nil {
				t.Error(err)
			}
			for range n {
				p.expect("214 ")
			}
			p.end()
		})
	})
	t.Run("POP3", func(t *testing.T) {
		f := start(t, nil, nil)
		f.deliver(t, "mbrain@localhost", "\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500))
		p := dialNarrow(t, f.POP3Addrs()[0].String())
		p.expect("+OK")
		p.say("USER mbrain", "+OK")
		p.say("PASS secret", "+OK")
		const n = 300
		flood(t, f, p, strings.Repeat("RETR 1\r\n", n)+"QUIT\r\n", func() {
			for range n {
				p.expect("+OK")
				p.listing()
			}
			p.expect("+OK")
			p.end()
		})
	})
	t.Run("POP3, one by one", func(t *testing.T) {
		f := start(t, nil, nil)
		f.deliver(t, "mbrain@localhost", "\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500))
		p := dialNarrow(t, f.POP3Addrs()[0].String())
		p.expect("+OK")
		p.say("USER mbrain", "+OK")
		p.say("PASS secret", "+OK")
		const n = 200
		for range n { // each in a segment of its own, never more than one in an Input
			p.send("RETR 1\r\n")
			f.sessions(func(s *conn.Session) {
				if n := s.Conn.Pending(); n > most {
					t.Errorf("%d octets are kept for a peer that does not read", n)
				}
			})
		}
		for range n {
			p.expect("+OK")
			p.listing()
		}
	})
}

// TestStalledPeerIsCutOff stops reading in every way there is; the session must
// end by its deadline, whatever it was doing.
func TestStalledPeerIsCutOff(t *testing.T) {
	t.Parallel()
	short := func(c *config.Config) { c.POP3.IdleTimeout, c.SMTP.CommandTimeout = time.Second, time.Second }
	large := "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 30000)
	small := "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500)
	for _, c := range []struct{ name, text, commands string }{
		{"large message", large, "RETR 1\r\n"},
		{"large message after others", large, strings.Repeat("TOP 1 900\r\n", 10) + "RETR 1\r\n"},
		{"small messages", small, strings.Repeat("RETR 1\r\n", 300)},
		{"listings", small, strings.Repeat("CAPA\r\n", 20000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, short, nil)
			f.deliver(t, "mbrain@localhost", c.text)
			p := dialNarrow(t, f.POP3Addrs()[0].String())
			p.expect("+OK")
			p.say("USER mbrain", "+OK")
			p.say("PASS secret", "+OK")
			go io.WriteString(p, c.commands)
			f.maildropIsFree(t, 1)
			until(t, "the session is over", func() bool { return f.pop3srv.Stats.Sessions.Load() == 0 })
		})
	}
	t.Run("SMTP", func(t *testing.T) {
		f := start(t, short, nil)
		p := dialNarrow(t, f.SMTPAddrs()[0].String())
		p.expect("220 ")
		go io.WriteString(p, strings.Repeat("HELP\r\n", 20000))
		until(t, "the session is over", func() bool { return f.smtpsrv.Stats.Sessions.Load() == 0 })
	})
}

// addAccounts adds n accounts named u0, u1, … with mbrain's password.
func (f *fixture) addAccounts(t testing.TB, n int) (names []string) {
	t.Helper()
	a, err := f.store.Account(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		names = append(names, fmt.Sprintf("u%d", i))
		if _, err := f.store.AddAccount(storage.NewAccount{Name: names[i], Domain: "localhost", Hash: a.Hash}); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// deliverAll delivers one message to all of them.
func (f *fixture) deliverAll(t testing.TB, names []string, text string) {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<a@client.test>", "250 2.1.0")
	for _, n := range names {
		p.say("RCPT TO:<"+n+"@localhost>", "250 2.1.5")
	}
	p.say("DATA", "354 ")
	p.say(text+".", "250 2.0.0 ")
	p.say("QUIT", "221 ")
}

// TestClientsThatPauseGiveUpWhatWasReadAhead: more clients than the budget has
// buffers fetch one message of several and then think about it.
func TestClientsThatPauseGiveUpWhatWasReadAhead(t *testing.T) {
	const n = 20 // 16 buffers
	f := start(t, func(c *config.Config) { c.Limits.Memory = 2 << 20 }, nil)
	names := f.addAccounts(t, n)
	for range 3 {
		f.deliverAll(t, names, "\r\nfew words\r\n")
	}
	var ps []*peer
	for _, name := range names {
		p := f.login(t, name)
		p.say("RETR 1", "+OK")
		p.listing()
		ps = append(ps, p)
	}
	for _, p := range ps { // and all of them go on where they were
		for i := 2; i <= 3; i++ {
			p.say(fmt.Sprint("RETR ", i), "+OK")
			if got := p.listing(); !strings.HasSuffix(got, "\r\n\r\nfew words\r\n") {
				t.Errorf("got %q", got)
			}
		}
		p.say("QUIT", "+OK")
	}
}

// TestThousandStalledReaders: they hold all that a buffer can be had from, and
// many more wait for one. Small mail goes in at once, large mail and other readers
// get their turn when the stalled ones are cut off.
func TestThousandStalledReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("opens two thousand descriptors")
	}
	const n = 1000
	f := start(t, func(c *config.Config) {
		c.Limits.Memory = 32 << 20
		c.POP3.IdleTimeout = time.Second
		c.SMTP.MaxRecipients = n
	}, nil)
	names := f.addAccounts(t, n)
	large := "\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 15000)
	f.deliverAll(t, names, large)
	f.deliver(t, "mbrain@localhost", large)
	for _, name := range names {
		p := dialNarrow(t, f.POP3Addrs()[0].String())
		p.send("USER " + name + "\r\nPASS secret\r\nRETR 1\r\n")
	}
	until(t, "the budget is booked", func() bool { return !f.budget.Bulk.Reserve(pop3srv.ReadBuffer) || release(f) })
	f.deliver(t, "jsmith@localhost", "\r\nsmall\r\n")
	reader := f.login(t, "mbrain")
	delivered := make(chan string, 1)
	go func() { delivered <- f.deliver(t, "jsmith@localhost", large) }()
	reader.say("RETR 1", "+OK")
	if got := reader.listing(); !strings.HasSuffix(got, large) {
		t.Errorf("got %d octets", len(got))
	}
	reader.say("QUIT", "+OK")
	<-delivered
	until(t, "all sessions are over", func() bool { return f.pop3srv.Stats.Sessions.Load() == 0 })
	for id := storage.AccountID(1); id <= n+3; id++ {
		f.maildropIsFree(t, id)
	}
}

// release gives back what a look at the budget took.
func release(f *fixture) bool {
	f.budget.Bulk.Release(pop3srv.ReadBuffer)
	return false
}
