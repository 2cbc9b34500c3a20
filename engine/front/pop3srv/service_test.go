package pop3srv

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/admit/login"
	"postrider/engine/admit/password"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// hang ends what waits for an event that does not come.
const hang = 3 * time.Minute

// directory has one account, alice with the password right.
type directory struct {
	storage.Directory // nothing else of it is called
	alice             storage.Account
}

func (d *directory) Proofs() storage.Proofs         { return storage.Proofs{} }
func (d *directory) CredentialChanges() uint64      { return 0 }
func (d *directory) HostsDomain(domain string) bool { return domain == "test" }
func (d *directory) DomainAlias(string) string      { return "" }

func (d *directory) NoteLogin(storage.AccountID, time.Time)              {}
func (d *directory) SetVerifier(storage.AccountID, string, string) error { return nil }
func (d *directory) Account(storage.AccountID) (storage.Account, error) {
	return d.alice, nil
}

func (d *directory) Lookup(local, _ string) (storage.Address, error) {
	if local != "alice" {
		return storage.Address{}, storage.ErrNotFound
	}
	return storage.Address{Account: d.alice.ID}, nil
}

// fixture is a service at an address of loopback, without a server around it.
type fixture struct {
	*Service
	t     *testing.T
	shelf *shelf
	addr  string
}

// serve starts a service over a shelf. readers is how many goroutines its pool has; the queue
// of the pool is as long.
func serve(t *testing.T, s *shelf, readers int) *fixture {
	t.Helper()
	hash, err := password.Hash([]byte("right"), password.Cost{Memory: 64, Time: 1, Threads: 1, SCRAM: 4096})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	d := &directory{alice: storage.Account{ID: 1, Name: "alice", Domain: "test", Hash: hash}}
	group, err := loop.New(loop.Config{Loops: 2, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	none := func(netip.Addr) bool { return false }
	edge := &conn.Edge{Log: log, Clients: conn.NewClients(100, 100, conn.Offered{conn.POP3Service: true}), Trusts: none, IsOwn: none, IsBalancer: none}
	edge.Run(group.Loops())
	var draining atomic.Bool
	pool := conn.NewPool(readers, readers, 0)
	f := &fixture{t: t, shelf: s}
	f.Service = New(Settings{Hostname: "mx.test", Version: "0", MaxListing: 100, IdleTimeout: hang}, Rooms{
		Edge: edge, Loops: group.Loops(), Store: s, Memory: budget.New(8 << 20), Readers: pool, Log: maillog.Log{Logger: log}, Draining: draining.Load,
		Door: login.New(login.Settings{
			CacheTTL: time.Minute, CacheSize: 10, Router: router.New(d, router.Settings{DefaultDomain: "test"}), Store: d,
			Queue:    func(a *login.Attempt, _ bool) bool { go a.Work(); return true },
			Draining: draining.Load, Now: time.Now, Log: log,
		}),
	})
	l, err := group.Listen("127.0.0.1:0", []byte(TooMany), edge.ProxyFirst(f.Listener(nil)))
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	group.Start()
	t.Cleanup(func() {
		until(t, "all sessions are over", func() bool { return f.Stats.Sessions.Load() == 0 })
		until(t, "the maildrop is free", s.isFree)
		until(t, "nothing is booked", func() bool { return f.memory.Used() == 0 })
		group.Stop()
		pool.Close()
		if s.open != 0 {
			t.Errorf("%d messages and sequences are still open", s.open)
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
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

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
	p := &client{c.(*net.TCPConn), f.t, bufio.NewReader(c)}
	p.expect("+OK")
	return p
}

// login is a client that has logged in.
func (f *fixture) login() *client {
	f.t.Helper()
	p := f.dial()
	p.say("USER alice", "+OK")
	p.say("PASS right", "+OK")
	return p
}

func (c *client) expect(prefix string) {
	c.t.Helper()
	if l, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(l, prefix) {
		c.t.Fatalf("got %q, want %q: %v", l, prefix, err)
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) say(command, prefix string) {
	c.t.Helper()
	c.send(command + "\r\n")
	c.expect(prefix)
}

// retrieve is RETR with the message that comes.
func (c *client) retrieve(n int, want string) {
	c.t.Helper()
	c.say(fmt.Sprint("RETR ", n), "+OK")
	got := make([]byte, len(want)+3)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want+".\r\n" {
		c.t.Fatalf("message %d: %.200q, %v", n, got, err)
	}
}

// quit ends the session, and waits for the end of the connection.
func (c *client) quit() {
	c.t.Helper()
	c.say("QUIT", "+OK")
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Errorf("after QUIT: %q, %v", rest, err)
	}
}

const large = 5*storage.MaxPiece + 100

// mailOf is a message with that many octets.
func mailOf(octets int) string {
	line := strings.Repeat("z", 98) + "\r\n"
	return strings.Repeat(line, octets/len(line)) + "end\r\n"
}

// A service works without a server around it.
func TestSessionsOfAService(t *testing.T) {
	s := &shelf{texts: []string{"one\r\n", mailOf(large), "three\r\n", "four\r\n"}}
	f := serve(t, s, 2)
	p := f.login()
	for i, text := range s.texts {
		p.retrieve(i+1, trace+text)
	}
	p.say("DELE 2", "+OK")
	p.say("DELE 4", "+OK")
	p.quit()
	if got := s.gone(); !slices.Equal(got, []storage.MessageID{2, 4}) {
		t.Errorf("deleted are %v", got)
	}
	if n := f.Stats.Retrieved.Load(); n != 4 {
		t.Errorf("%d messages were sent", n)
	}
	p = f.dial()
	p.say("USER alice", "+OK")
	p.say("PASS wrong", "-ERR [AUTH]")
	p.say("USER alice", "+OK")
	p.say("PASS right", "+OK")
	p.quit()
}

// Each fault of the store has its answer, and takes nothing with it: neither the maildrop nor
// memory. What a worker panics about is a fault too.
func TestFaultsOfTheStore(t *testing.T) {
	for _, c := range []struct {
		call string
		id   storage.MessageID // which the fault is about; 0: any
		err  error             // nil: a panic
		said string            // the reply to a command that ends with it; "": the connection is cut
		run  string            // the command, after a login
	}{
		{"lock", 0, errBroken, "-ERR [SYS/TEMP]", ""},
		{"lock", 0, storage.ErrInUse, "-ERR [IN-USE]", ""},
		{"list", 0, errBroken, "-ERR [SYS/TEMP]", ""},
		{"list", 0, nil, "-ERR [SYS/TEMP]", ""},
		{"sequence", 0, storage.ErrTemporary, "-ERR [SYS/TEMP]", "RETR 1"},
		{"sequence", 0, nil, "-ERR [SYS/PERM]", "RETR 1"},
		{"append", 1, storage.ErrCorrupt, "-ERR [SYS/PERM]", "RETR 1"},
		{"append", 1, nil, "-ERR [SYS/PERM]", "RETR 1"},
		{"open", 2, storage.ErrCorrupt, "-ERR [SYS/PERM]", "RETR 2"},
		{"open", 1, storage.ErrFenced, "-ERR [SYS/TEMP]", "TOP 1 0"},
		{"entry", 2, nil, "-ERR [SYS/PERM]", "RETR 2"},
		{"next", 2, storage.ErrCorrupt, "", "RETR 2"},
		{"next", 2, nil, "", "RETR 2"},
		{"expunge", 0, storage.ErrTemporary, "-ERR [SYS/TEMP]", "QUIT"},
		{"expunge", 0, nil, "-ERR [SYS/TEMP]", "QUIT"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.call, c.err), func(t *testing.T) {
			s := &shelf{texts: []string{"one\r\n", mailOf(large), "three\r\n"}}
			s.on = func(call string, id storage.MessageID) error {
				switch {
				case call != c.call || c.id != 0 && id != c.id:
					return nil
				case c.err == nil:
					panic("broken")
				}
				return c.err
			}
			f := serve(t, s, 1)
			if c.run == "" {
				p := f.dial()
				p.say("USER alice", "+OK")
				p.say("PASS right", c.said)
				p.quit()
				return
			}
			p := f.login()
			p.say("DELE 3", "+OK")
			p.send(c.run + "\r\n")
			if c.said == "" {
				if rest, _ := io.ReadAll(p.r); strings.HasSuffix(string(rest), "\r\n.\r\n") {
					t.Errorf("%d octets came, with an end", len(rest))
				}
				return
			}
			p.expect(c.said)
			if c.run != "QUIT" {
				p.say("RSET", "+OK")
				if c.call == "open" || c.call == "entry" {
					p.retrieve(1, trace+s.texts[0]) // and nothing of the message that failed
				}
				p.quit()
			}
		})
	}
}

// A job that is under way when its peer leaves keeps the maildrop until it is done.
func TestAPeerThatLeavesDuringAJob(t *testing.T) {
	for _, c := range []struct {
		call, command string
		id            storage.MessageID
	}{
		{"list", "PASS right", 0}, {"append", "RETR 1", 1}, {"open", "RETR 2", 2}, {"next", "RETR 2", 2}, {"expunge", "QUIT", 0},
	} {
		t.Run(c.call, func(t *testing.T) {
			s := &shelf{texts: []string{"one\r\n", mailOf(large), "three\r\n"}}
			began, goOn := make(chan struct{}), make(chan struct{})
			var one atomic.Bool
			s.on = func(call string, id storage.MessageID) error {
				if call == c.call && id == c.id && !one.Swap(true) {
					close(began)
					<-goOn
				}
				return nil
			}
			f := serve(t, s, 1)
			p := f.dial()
			p.say("USER alice", "+OK")
			if c.call != "list" {
				p.say("PASS right", "+OK")
				p.say("DELE 3", "+OK")
			}
			p.send(c.command + "\r\n")
			<-began
			if err := p.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			until(t, "the session is over", func() bool { return f.Stats.Sessions.Load() == 0 })
			if s.isFree() {
				t.Error("the maildrop was given back during the job")
			}
			close(goOn)
			until(t, "the maildrop is free", s.isFree)
		})
	}
}

// A pool without room is a fault that the peer is told.
func TestAPoolWithoutRoom(t *testing.T) {
	s := &shelf{texts: []string{"one\r\n", mailOf(large)}}
	f := serve(t, s, 0) // no goroutine, and no place in the queue
	p := f.login()      // by the goroutine that has hashed the password
	p.say("RETR 1", "-ERR [SYS/TEMP]")
	p.say("TOP 2 1", "-ERR [SYS/TEMP]")
	p.say("DELE 1", "+OK")
	p.say("QUIT", "-ERR [SYS/TEMP]")
	p = f.dial()
	p.say("USER alice", "+OK")
	p.say("PASS right", "-ERR [SYS/TEMP]") // the password is remembered: for the pool
	p.quit()
}
