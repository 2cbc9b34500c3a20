package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/storage"
	"postrider/storage/lsm"
)

// hang is how long a test waits before it says that something hangs. Nothing is
// timed by it.
const hang = 60 * time.Second

// fixture is a server on loopback over a store in a temporary folder.
type fixture struct {
	*Server
	store *lsm.Store
	ear   *ear
}

// start runs a server with the accounts mbrain and jsmith (password "secret").
// wrap, when not nil, wraps the store for the server.
func start(t testing.TB, set func(*config.Config), wrap func(storage.Store) storage.Store) *fixture {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Hostname = "mx.test"
	cfg.Server.Data = t.TempDir()
	cfg.SMTP.Listen = []config.SMTPListener{{Addr: "127.0.0.1:0"}}
	cfg.POP3.Listen = []string{"127.0.0.1:0"}
	cfg.Auth.Memory, cfg.Auth.Time, cfg.Auth.ScramIterations = 64<<10, 1, 4096
	if set != nil {
		set(cfg)
	}
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddDomain("localhost"); err != nil {
		t.Fatal(err)
	}
	hash, err := password.Hash([]byte("secret"), cfg.HashCost())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"mbrain", "jsmith", "postmaster"} {
		if _, err := store.AddAccount(storage.NewAccount{Name: n, Domain: "localhost", Hash: hash, Secret: "secret"}); err != nil {
			t.Fatal(err)
		}
	}
	var seen storage.Store = store
	if wrap != nil {
		seen = wrap(store)
	}
	ear := new(ear)
	srv, err := New(cfg, seen, slog.New(ear))
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		srv.Drain(ctx)
		if used := srv.budget.Used(); used != 0 {
			t.Errorf("%d octets of the ledger are still booked after the drain", used)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{srv, store, ear}
}

// peer is the client's end of a dialogue.
type peer struct {
	t testing.TB
	link
	r *bufio.Reader
}

// link is the client's connection, in clear text or within TLS.
type link interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

func (f *fixture) dialSMTP(t testing.TB) *peer { return dial(t, f.SMTPAddrs()[0].String()) }
func (f *fixture) dialPOP3(t testing.TB) *peer { return dial(t, f.POP3Addrs()[0].String()) }

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatalf("sending %.60q: %v", s, err)
	}
}

func (p *peer) line() string {
	p.t.Helper()
	l, err := p.r.ReadString('\n')
	if err != nil {
		p.t.Fatalf("reading a line: %v (got %q)", err, l)
	}
	return strings.TrimSuffix(l, "\r\n")
}

// expect reads a whole SMTP reply, or a POP3 status line, and checks how it begins.
func (p *peer) expect(prefix string) string {
	p.t.Helper()
	for {
		l := p.line()
		if len(l) > 3 && l[3] == '-' && l[0] >= '2' && l[0] <= '5' {
			continue
		}
		if !strings.HasPrefix(l, prefix) {
			p.t.Fatalf("got %q, want %q…", l, prefix)
		}
		return l
	}
}

// say sends a line and checks the reply.
func (p *peer) say(line, prefix string) string {
	p.t.Helper()
	p.send(line + "\r\n")
	return p.expect(prefix)
}

// listing reads a multi-line POP3 answer up to its dot, dot-stuffing undone.
func (p *peer) listing() string {
	p.t.Helper()
	var b strings.Builder
	for {
		l := p.line()
		if l == "." {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(l, "."))
		b.WriteString("\r\n")
	}
}

// end checks that the server closes the connection.
func (p *peer) end() {
	p.t.Helper()
	if b, err := io.ReadAll(p.r); err != nil || len(b) > 0 {
		p.t.Fatalf("wanted the end of the connection, got %q, %v", b, err)
	}
}

func (f *fixture) deliver(t testing.TB, to, text string) string {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("MAIL FROM:<a@client.test>", "250 2.1.0")
	p.say("RCPT TO:<"+to+">", "250 2.1.5")
	p.say("DATA", "354 ")
	p.send(text + ".\r\n")
	l := p.expect("250 2.0.0 ")
	p.say("QUIT", "221 ")
	return strings.Fields(l)[2]
}

func (f *fixture) login(t testing.TB, user string) *peer {
	t.Helper()
	p := f.dialPOP3(t)
	p.expect("+OK")
	p.say("USER "+user, "+OK")
	p.say("PASS secret", "+OK")
	return p
}

func TestMessageGoesInBySMTPAndOutByPOP3(t *testing.T) {
	f := start(t, nil, nil)
	text := "From: a@client.test\r\nSubject: lunch\r\n\r\nMarshall,\r\n..two dots\r\nCan we have lunch Monday?\r\n"
	id := f.deliver(t, "mbrain@localhost", text)
	if _, err := storage.ParseMessageID(id); err != nil {
		t.Errorf("queue id %q: %v", id, err)
	}
	p := f.login(t, "mbrain")
	size := strings.Fields(p.say("STAT", "+OK 1 "))[2]
	if got := p.say("UIDL 1", "+OK 1 "); got != "+OK 1 "+id {
		t.Errorf("UIDL %q, queue id %s", got, id)
	}
	p.say("RETR 1", "+OK "+size)
	got := p.listing()
	if want := fmt.Sprint(len(got)); want != size {
		t.Errorf("STAT says %s octets, RETR sent %s", size, want)
	}
	head, body, _ := strings.Cut(got, "From: a@client.test\r\n")
	if !strings.HasPrefix(head, "Return-Path: <a@client.test>\r\nReceived: from client.test (unknown [127.0.0.1])\r\n") {
		t.Errorf("trace fields:\n%s", head)
	}
	if want := strings.Replace(text, "..two", ".two", 1); "From: a@client.test\r\n"+body != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	p.say("TOP 1 1", "+OK")
	if top := p.listing(); !strings.HasSuffix(top, "\r\n\r\nMarshall,\r\n") {
		t.Errorf("TOP 1 1 ends with %q", top)
	}
	p.say("DELE 1", "+OK")
	p.say("QUIT", "+OK")
	p.end()
	f.login(t, "mbrain").say("STAT", "+OK 0 0")
}

func TestLostConnectionDeletesNothing(t *testing.T) {
	f := start(t, nil, nil)
	f.deliver(t, "mbrain@localhost", "x\r\n")
	p := f.login(t, "mbrain")
	p.say("DELE 1", "+OK")
	p.send("QUI") // and no more
	p.CloseWrite()
	p.end()
	f.login(t, "mbrain").say("STAT", "+OK 1 ")
}

func TestMaildropIsHeldByOneSessionAndFreedWithIt(t *testing.T) {
	f := start(t, nil, nil)
	first := f.login(t, "mbrain")
	second := f.dialPOP3(t)
	second.expect("+OK")
	second.say("USER mbrain", "+OK")
	second.say("PASS secret", "-ERR [IN-USE]")
	first.say("QUIT", "+OK")
	second.say("USER mbrain", "+OK")
	second.say("PASS secret", "+OK")
	second.Close() // without a goodbye
	for {          // the close has to reach the server
		p := f.dialPOP3(t)
		p.expect("+OK")
		p.say("USER mbrain", "+OK")
		p.send("PASS secret\r\n")
		if l := p.line(); strings.HasPrefix(l, "+OK") {
			return
		} else if !strings.HasPrefix(l, "-ERR [IN-USE]") {
			t.Fatal(l)
		}
	}
}

func TestUnknownUserAndWrongPasswordGetTheSameAnswer(t *testing.T) {
	f := start(t, nil, nil)
	answer := func(user string) string {
		p := f.dialPOP3(t)
		p.expect("+OK")
		p.say("USER "+user, "+OK")
		return p.say("PASS wrong", "-ERR [AUTH]")
	}
	if a, b := answer("mbrain"), answer("nobody"); a != b {
		t.Errorf("%q for a user, %q for nobody", a, b)
	}
}

func TestPipelinedTransactionsAndHalfClose(t *testing.T) {
	f := start(t, nil, nil)
	p := f.dialSMTP(t)
	const n = 50
	var b strings.Builder
	b.WriteString("EHLO c\r\n")
	for i := range n {
		fmt.Fprintf(&b, "MAIL FROM:<a@b.test>\r\nRCPT TO:<mbrain@localhost>\r\nBDAT 10 LAST\r\nmail %03d\r\n", i)
	}
	b.WriteString("QUIT\r\n")
	p.send(b.String())
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.expect("220 ")
	p.expect("250 ")
	for range n {
		p.expect("250 2.1.0")
		p.expect("250 2.1.5")
		p.expect("250 2.0.0")
	}
	p.expect("221 ")
	p.end()

	q := f.dialPOP3(t)
	b.Reset()
	b.WriteString("USER mbrain\r\nPASS secret\r\n")
	for i := range n {
		fmt.Fprintf(&b, "RETR %d\r\nDELE %d\r\n", i+1, i+1)
	}
	b.WriteString("QUIT\r\n")
	q.send(b.String())
	if err := q.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	q.expect("+OK")
	q.expect("+OK")
	q.expect("+OK")
	for i := range n {
		q.expect("+OK")
		if got, want := q.listing(), fmt.Sprintf("\r\nmail %03d\r\n", i); !strings.HasSuffix(got, want) {
			t.Fatalf("message %d ends with %q, want %q", i+1, got, want)
		}
		q.expect("+OK")
	}
	q.expect("+OK")
	q.end()
	if m, _, _ := f.store.Usage(1); m != 0 {
		t.Errorf("%d messages left after QUIT", m)
	}
}

// faulty is a store whose inbox says no.
type faulty struct {
	storage.Store
	admit, deliver atomic.Pointer[error]
}

func (f *faulty) Admit(n int64) error {
	if e := f.admit.Load(); e != nil && *e != nil {
		return *e
	}
	return f.Store.Admit(n)
}

func (f *faulty) Deliver(d *storage.Delivery) {
	if e := f.deliver.Load(); e != nil && *e != nil {
		d.Draft.Discard()
		d.Done(d, storage.Receipt{}, *e)
		return
	}
	f.Store.Deliver(d)
}

func TestStoreThatFailsIsAnsweredFourAndRecovers(t *testing.T) {
	var bad *faulty
	f := start(t, nil, func(s storage.Store) storage.Store { bad = &faulty{Store: s}; return bad })
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	for _, c := range []struct {
		err   error
		reply string
	}{
		{storage.ErrFull, "452 4.3.1"}, {storage.ErrTemporary, "452 4.3.1"},
		{storage.ErrFailed, "451 4.3.0"}, {errors.New("anything"), "451 4.3.0"},
	} {
		bad.admit.Store(&c.err)
		p.say("MAIL FROM:<>", c.reply)
		bad.admit.Store(nil)
		p.say("MAIL FROM:<>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		bad.deliver.Store(&c.err)
		p.say("x\r\n.", c.reply)
		bad.deliver.Store(nil)
	}
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.say("x\r\n.", "250 ")
	f.login(t, "mbrain").say("STAT", "+OK 1 ")
}

// TestManyLargeMessagesStayInsideTheBudget sends more octets at once than
// limits.memory holds: the senders are slowed, all messages arrive whole, and
// the ledger never holds more than it may.
func TestManyLargeMessagesStayInsideTheBudget(t *testing.T) {
	const budget, senders, size = 2 << 20, 20, 1 << 20
	f := start(t, func(c *config.Config) { c.Limits.Memory = budget }, nil)
	line := strings.Repeat("0123456789abcdef", 4) + "\r\n"
	text := "Subject: big\r\n\r\n" + strings.Repeat(line, size/len(line))
	stop := make(chan struct{})
	var high int64
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				high = max(high, f.budget.Used())
			}
		}
	})
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			p := f.dialSMTP(t)
			p.expect("220 ")
			p.say("EHLO c", "250 ")
			for {
				p.send("MAIL FROM:<a@b.test>\r\n")
				if strings.HasPrefix(p.line(), "250") {
					break
				}
			}
			p.say("RCPT TO:<mbrain@localhost>", "250 ")
			p.say("DATA", "354 ")
			p.say(text+".", "250 ")
		})
	}
	wg.Wait()
	close(stop)
	watch.Wait()
	if high > budget {
		t.Errorf("the ledger held %d octets of %d", high, budget)
	}
	p := f.login(t, "mbrain")
	p.say("STAT", fmt.Sprintf("+OK %d ", senders))
	for i := range senders {
		p.say(fmt.Sprintf("RETR %d", i+1), "+OK")
		if _, got, _ := strings.Cut(p.listing(), "Subject: big\r\n"); "Subject: big\r\n"+got != text {
			t.Fatalf("message %d is not what was sent: %d octets", i+1, len(got))
		}
	}
}

func TestTooManyConnectionsOfOneClient(t *testing.T) {
	f := start(t, func(c *config.Config) { c.Limits.ConnectionsPerClient = 2 }, nil)
	a, b := f.dialSMTP(t), f.dialPOP3(t)
	a.expect("220 ")
	b.expect("+OK")
	f.dialSMTP(t).expect("421 4.7.0")
	f.dialPOP3(t).expect("-ERR [SYS/TEMP]")
	a.say("QUIT", "221 ")
	a.end()
	b.say("NOOP", "-ERR") // before login, and still there
}

func TestDrainEndsIdleSessionsAndFinishesMessages(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	idle, busy, box := f.dialSMTP(t), f.dialSMTP(t), f.login(t, "mbrain")
	idle.expect("220 ")
	busy.expect("220 ")
	busy.say("EHLO c", "250 ")
	busy.say("MAIL FROM:<>", "250 ")
	busy.say("RCPT TO:<jsmith@localhost>", "250 ")
	busy.say("DATA", "354 ")
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Drain(context.Background())
	}()
	idle.expect("421 4.3.2")
	idle.end()
	if b, err := io.ReadAll(box.r); err != nil || len(b) > 0 && !strings.HasPrefix(string(b), "-ERR [SYS/TEMP]") {
		t.Errorf("POP3 session got %q, %v", b, err)
	}
	busy.say("text\r\n.", "250 2.0.0")
	busy.expect("421 4.3.2")
	busy.end()
	<-done
	if m, _, err := f.store.Usage(2); m != 1 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
}

func TestEachListenerHasItsOwnBareLF(t *testing.T) {
	f := start(t, func(c *config.Config) {
		c.SMTP.Listen = append(c.SMTP.Listen, config.SMTPListener{Addr: "127.0.0.1:0", BareLF: config.BareLFNormalize})
	}, nil)
	for i, want := range []string{"550 5.5.2", "250 2.0.0"} {
		p := dial(t, f.SMTPAddrs()[i].String())
		p.expect("220 ")
		p.say("HELO c", "250 ")
		p.say("MAIL FROM:<>", "250 ")
		p.say("RCPT TO:<mbrain@localhost>", "250 ")
		p.say("DATA", "354 ")
		p.say("a\nb\r\n.", want)
	}
	p := f.login(t, "mbrain")
	p.say("RETR 1", "+OK")
	if got := p.listing(); !strings.HasSuffix(got, "a\r\nb\r\n") {
		t.Errorf("%q", got)
	}
}
