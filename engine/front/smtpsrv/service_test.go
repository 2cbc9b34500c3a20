package smtpsrv

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/admit/password"
	"postrider/engine/admit/screen"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
	"postrider/storage/lsm"
)

// hang ends what waits for an event that does not come.
const hang = 3 * time.Minute

// store is a real one that may refuse messages, and counts what it is to expect.
type store struct {
	*lsm.Store
	refuses  atomic.Pointer[error] // by Admit
	expected atomic.Int64
}

func (s *store) Admit(size int64) error {
	if err := s.refuses.Load(); err != nil {
		return *err
	}
	return s.Store.Admit(size)
}

func (s *store) Expect(n int) {
	s.expected.Add(int64(n))
	s.Store.Expect(n)
}

// fixture is a service at an address of loopback, without a server around it. Loopback is a
// network of untrusted clients.
type fixture struct {
	*Service
	t        *testing.T
	store    *store
	addr     string
	draining atomic.Bool
	full     atomic.Bool // no recipients are placed again
}

// serve starts a service over a store with the accounts alice and bob, password "right".
func serve(t *testing.T) *fixture {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	real, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := password.Hash([]byte("right"), password.Cost{Memory: 64, Time: 1, Threads: 1, SCRAM: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := real.AddDomain("test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		if _, err := real.AddAccount(storage.NewAccount{Name: name, Domain: "test", Hash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	if err := real.SetAliases([]storage.Alias{{Name: "list", Domain: "test", Targets: []string{"bob@test", "x@far.test"}}}); err != nil {
		t.Fatal(err)
	}
	group, err := loop.New(loop.Config{Loops: 2, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	none := func(netip.Addr) bool { return false }
	edge := &conn.Edge{Log: log, Clients: conn.NewClients(100, 100, conn.Offered{conn.MailService: true}), Trusts: none, IsOwn: none, IsBalancer: none}
	edge.Run(group.Loops())
	f := &fixture{t: t, store: &store{Store: real}}
	to := router.New(real, router.Settings{DefaultDomain: "test"})
	memory := budget.New(8 << 20)
	f.Service = New(Settings{
		Machine: smtpd.Config{Hostname: "mx.test", MaxSize: 1 << 20, MaxRecipients: 100, MaxErrors: 100, MaxHops: 100,
			Auth: smtpd.Auth{Mechanisms: sasl.SetOf(sasl.Plain)}},
		CommandTimeout: hang, DataTimeout: hang, MayRelay: none, MayXclient: none,
		Entrance: &incoming.Entrance{Inbox: real, Drafts: real, Router: to, Hostname: "mx.test", DefaultDomain: "test", MaxHeld: budget.LargeWindow / 4, Log: log,
			Expect: f.store.Expect,
			Place: func(_ bool, work, full func()) {
				if f.full.Load() {
					full()
					return
				}
				go work()
			}},
	}, Rooms{
		Loops: group.Loops(), Edge: edge, Store: f.store, Router: to, Memory: memory, Log: maillog.Log{Logger: log},
		Door: login.New(login.Settings{
			Router: to, Store: real, Queue: func(a *login.Attempt, _ bool) bool { go a.Work(); return true },
			Draining: f.draining.Load, Now: time.Now, Log: log,
		}),
		Guard:    screen.NewGuard(screen.Settings{RateEntries: 10}, screen.Vetter{}),
		Sent:     allowance.New(allowance.Limits{Messages: 2}),
		Draining: f.draining.Load,
	})
	l, err := group.Listen("127.0.0.1:0", f.TooMany(), edge.ProxyFirst(f.Listener(Address{Service: conn.MailService, Auth: OfferAuth})))
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	group.Start()
	t.Cleanup(func() {
		until(t, "all sessions are over", func() bool { return f.Stats.Sessions.Load() == 0 })
		until(t, "nothing is booked", func() bool { return memory.Used() == 0 })
		until(t, "nothing is expected", func() bool { return f.store.expected.Load() == 0 })
		if n := f.Stats.CommitsOpen.Load(); n != 0 {
			t.Errorf("%d commits are open", n)
		}
		group.Stop()
		if err := real.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > hang {
			t.Errorf("waited %v for this: %s", hang, what)
			return
		}
	}
}

// client is the other end.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

// dial is a client that has said EHLO.
func (f *fixture) dial() *client {
	f.t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
		f.t.Fatal(err)
	}
	p := &client{c, f.t, bufio.NewReader(c)}
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	return p
}

// login logs in as alice.
func (p *client) login() *client {
	p.t.Helper()
	p.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00alice@test\x00right")), "235 ")
	return p
}

// say sends a line and checks the last line of the reply.
func (p *client) say(line, want string) {
	p.t.Helper()
	if _, err := io.WriteString(p, line+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
	p.expect(want)
}

func (p *client) expect(want string) {
	p.t.Helper()
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Fatalf("want %q: %v", want, err)
		}
		if len(line) > 3 && line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, want) {
			p.t.Fatalf("got %q, want %q", line, want)
		}
		return
	}
}

// mail sends a message to these recipients.
func (p *client) mail(text, want string, to ...string) {
	p.t.Helper()
	p.say("MAIL FROM:<alice@test>", "250 ")
	for _, r := range to {
		p.say("RCPT TO:<"+r+">", "250 ")
	}
	p.say("DATA", "354 ")
	p.say(text+"\r\n.", want)
}

// A store that takes no message is told to the client at MAIL, and the session goes on.
func TestTheStoreRefusesAtMAIL(t *testing.T) {
	f := serve(t)
	p := f.dial()
	for _, c := range []struct {
		err  error
		want string
	}{{storage.ErrFull, "452 4.3.1 "}, {storage.ErrTemporary, "452 4.3.1 "}, {storage.ErrFailed, "451 4.3.0 "}} {
		err := fmt.Errorf("admit: %w", c.err)
		f.store.refuses.Store(&err)
		p.say("MAIL FROM:<a@b.test>", c.want)
		if n := f.store.expected.Load(); n != 0 {
			t.Errorf("%v: %d messages are expected", c.err, n)
		}
	}
	f.store.refuses.Store(nil)
	p.mail("Subject: x\r\n\r\nx", "250 ", "bob@test")
	p.Close()
}

// Whatever way a transaction ends, the store expects no message of it any more: so that it
// does not hold a sync back for a message that does not come.
func TestWhatIsExpectedEnds(t *testing.T) {
	f := serve(t)
	p := f.dial()
	is := func(when string, want int64) {
		t.Helper()
		if n := f.store.expected.Load(); n != want {
			t.Errorf("%s: %d messages are expected, want %d", when, n, want)
		}
	}
	begin := func() {
		t.Helper()
		p.say("MAIL FROM:<alice@test>", "250 ")
		is("after MAIL", 1)
	}
	begin()
	p.say("RSET", "250 ")
	is("after RSET", 0)
	begin()
	p.say("EHLO client.test", "250 ")
	is("after EHLO", 0)
	p.mail("Subject: x\r\n\r\nx", "250 ", "bob@test")
	is("after a message", 0)
	p.mail("Subject: x\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20_000), "552 ", "bob@test")
	is("after a message that is too large", 0)
	p.mail("Delivered-To: list@test\r\nSubject: x\r\n\r\nx", "554 5.4.6 ", "list@test")
	is("after a message in a loop", 0)
	p.login()
	p.say("MAIL FROM:<bob@test>", "553 5.7.1 <bob@test>: Sender address rejected")
	is("after a sender that is refused", 0)
	for range 2 {
		p.mail("From: alice@test\r\n\r\nx", "250 ", "bob@test")
	}
	p.say("MAIL FROM:<alice@test>", "450 4.7.1 alice@test has sent to its limit of 2 messages an hour")
	is("after a message that is one too many", 0)
	q := f.dial()
	q.say("MAIL FROM:<a@b.test>", "250 ")
	is("in another session", 1)
	q.Close()
	until(t, "the lost connection's message is expected no more", func() bool { return f.store.expected.Load() == 0 })
	p.Close()
}

// A message that an account has begun and given up leaves its allowance as it was, for its
// other sessions too, before the session says anything more.
func TestAnAllowanceComesBack(t *testing.T) {
	f := serve(t)
	for _, end := range []string{"RSET", "EHLO client.test"} {
		p := f.dial().login()
		p.say("MAIL FROM:<alice@test>", "250 ")
		p.say("RCPT TO:<bob@test>", "250 ")
		q := f.dial().login()
		q.say("MAIL FROM:<alice@test>", "250 ")
		r := f.dial().login()
		r.say("MAIL FROM:<alice@test>", "450 4.7.1 ")
		p.say(end, "250 ")
		r.say("MAIL FROM:<alice@test>", "250 ")
		p.say("MAIL FROM:<alice@test>", "450 4.7.1 ")
		q.say("RSET", "250 ")
		r.say("RSET", "250 ")
		for _, c := range []*client{p, q, r} {
			c.Close()
		}
	}
}

// Where recipients can't be placed again because the pool has no room, the client is told to
// come back, and the session goes on.
func TestNoRoomToPlaceRecipients(t *testing.T) {
	f := serve(t)
	p := f.dial()
	const been = "Delivered-To: list@test\r\nSubject: x\r\n\r\nx"
	f.full.Store(true)
	p.mail(been, "452 4.3.1 ", "list@test", "bob@test")
	p.mail("Subject: x\r\n\r\nx", "250 ", "list@test")
	f.full.Store(false)
	p.mail(been, "250 ", "list@test", "bob@test")
	p.mail(been, "554 5.4.6 Mail forwarding loop for list@test", "list@test")
	p.Close()
}

// A server that ends takes no transaction and no login.
func TestDraining(t *testing.T) {
	for _, line := range []string{"MAIL FROM:<a@b.test>", "AUTH PLAIN AGEAYg=="} {
		f := serve(t)
		p := f.dial()
		f.draining.Store(true)
		p.say(line, "421 4.3.2 ")
		if _, err := p.r.ReadByte(); err != io.EOF {
			t.Errorf("after %s: %v", line, err)
		}
		p.Close()
	}
}

// The counters say what became of messages and commands.
func TestStats(t *testing.T) {
	f := serve(t)
	p := f.dial()
	p.mail("Subject: x\r\n\r\nx", "250 ", "bob@test", "alice@test")
	p.say("MAIL FROM:<a@b.test>", "250 ")
	p.say("RCPT TO:<none@test>", "550 5.1.1 ")
	p.say("RCPT TO:<x@far.test>", "554 5.7.1 ")
	p.say("VRFY alice", "252 2.5.2 ")
	st := &f.Stats
	if m, d, o, r, s := st.Messages.Load(), st.Deliveries.Load(), st.OctetsIn.Load(), st.Refused.Load(), st.Sessions.Load(); m != 1 || d != 2 || o < 16 || r != 2 || s != 1 {
		t.Errorf("%d messages, %d deliveries, %d octets, %d refusals, %d sessions", m, d, o, r, s)
	}
	p.Close()
}
