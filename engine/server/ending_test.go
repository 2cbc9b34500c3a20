package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/localmail"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// slow is a store whose logins and deliveries wait for the test.
type slow struct {
	storage.Store
	asked   chan struct{} // one for each call that waits
	go_     chan struct{} // closed: go on
	logins  bool
	commits bool
}

func (s *slow) LockMaildrop(id storage.AccountID) (storage.Lock, error) {
	if s.logins {
		s.asked <- struct{}{}
		<-s.go_
	}
	return s.Store.LockMaildrop(id)
}

func (s *slow) Deliver(d *storage.Delivery) {
	if !s.commits {
		s.Store.Deliver(d)
		return
	}
	s.asked <- struct{}{}
	go func() { <-s.go_; s.Store.Deliver(d) }()
}

// startSlow runs a server whose store waits; goOn lets it.
func startSlow(t *testing.T, logins, commits bool) (f *fixture, s *slow, goOn func()) {
	s = &slow{asked: make(chan struct{}, 10), go_: make(chan struct{}), logins: logins, commits: commits}
	goOn = sync.OnceFunc(func() { close(s.go_) })
	f = start(t, nil, func(st storage.Store) storage.Store { s.Store = st; return s })
	t.Cleanup(goOn)
	return f, s, goOn
}

// drain begins a drain and returns when all sessions have been told.
func (f *fixture) drain() (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		f.Drain(context.Background())
	}()
	for !f.draining.Load() {
	}
	return done
}

// ended checks that the drain ends by itself.
func ended(t *testing.T, done chan struct{}) {
	t.Helper()
	until(t, "the drain is over", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

// A server that is about to end stores no mail of local users, and says why.
func TestDrainTakesNoLocalMail(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	ended(t, f.drain())
	r, err := f.localSubmit(t.Context(), incoming.Mail{Recipients: []string{"alice"}, Text: strings.NewReader("x\n")}, func(int64) bool { return true })
	if !errors.Is(err, localmail.ErrEnding) || !errors.Is(err, storage.ErrTemporary) || r.Receipt.ID() != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestDrainEndsASessionWhoseLoginIsUnderWay(t *testing.T) {
	t.Parallel()
	f, s, goOn := startSlow(t, true, false)
	p := f.dialPOP3(t)
	p.expect("+OK")
	p.say("USER mbrain", "+OK")
	p.send("PASS secret\r\n")
	<-s.asked
	idle := f.dialSMTP(t) // on some loop; that it is told means little for the other
	idle.expect("220 ")
	done := f.drain()
	idle.expect("421 4.3.2")
	f.sessions(func(*conn.Session) {}) // a turn of each loop
	goOn()
	if b, err := io.ReadAll(p.r); err != nil || !strings.HasSuffix(string(b), "\r\n") {
		t.Errorf("got %q, %v", b, err)
	}
	ended(t, done)
	f.maildropIsFree(t, 1)
}

func TestDrainEndsASessionWhoseMessageIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	p, idle := f.dialSMTP(t), f.dialSMTP(t)
	p.expect("220 ")
	idle.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	done := f.drain()
	idle.expect("421 4.3.2")
	f.sessions(func(*conn.Session) {})
	p.say("a bare\nline feed\r\n.", "550 ")
	p.expect("421 4.3.2")
	p.end()
	ended(t, done)
}

func TestDrainWaitsForADeliveryUnderWay(t *testing.T) {
	t.Parallel()
	f, s, goOn := startSlow(t, false, true)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.send("MAIL FROM:<>\r\nRCPT TO:<mbrain@localhost>\r\nBDAT 3 LAST\r\nx\r\nMAIL FROM:<>\r\n")
	p.expect("250 ")
	p.expect("250 ")
	<-s.asked
	done := f.drain()
	f.sessions(func(*conn.Session) {})
	goOn()
	p.expect("250 2.0.0")
	p.expect("421 4.3.2")
	p.end()
	ended(t, done)
	if m, _, err := f.store.Usage(1); m != 1 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
}

// A session that waits for its peer to read is between two commands: a drain ends it too.
func TestDrainEndsASessionWhosePeerDoesNotRead(t *testing.T) {
	t.Parallel()
	f := start(t, nil, nil)
	f.deliver(t, "mbrain@localhost", "\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 500))
	box := dialNarrow(t, f.POP3Addrs()[0].String())
	box.expect("+OK")
	box.say("USER mbrain", "+OK")
	box.say("PASS secret", "+OK")
	mail := dialNarrow(t, f.SMTPAddrs()[0].String())
	mail.expect("220 ")
	waiting := 0
	count := func() {
		waiting = 0
		f.sessions(func(s *conn.Session) {
			if s.Waits == conn.ForReplies {
				waiting++
			}
		})
	}
	for sent := int64(1); waiting == 0; sent++ {
		box.send("RETR 1\r\n") // one by one, or the session waits for a part of the replies
		until(t, "the message is sent", func() bool {
			count()
			return waiting == 1 || f.pop3srv.Stats.Retrieved.Load() == sent
		})
	}
	flooded := make(chan error, 1)
	go func() {
		_, err := io.WriteString(mail, strings.Repeat("HELP\r\n", 20000))
		flooded <- err
	}()
	until(t, "both sessions wait", func() bool { count(); return waiting == 2 })
	done := f.drain()
	for p, want := range map[*peer]string{box: "-ERR [SYS/TEMP] ", mail: "421 4.3.2 "} {
		if err := p.SetReadDeadline(time.Now().Add(hang)); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p.r)
		last := string(b[strings.LastIndex(strings.TrimSuffix(string(b), "\r\n"), "\r\n")+2:])
		if err != nil || !strings.HasPrefix(last, want) {
			t.Errorf("the last reply is %q, %v; want %q", last, err, want)
		}
	}
	<-flooded // it may have failed
	ended(t, done)
	f.maildropIsFree(t, 1)
}

// TestPeerGoneWhileLoginIsUnderWay: the login ends after its peer, by FIN or
// reset, and must not keep the maildrop.
func TestPeerGoneWhileLoginIsUnderWay(t *testing.T) {
	for name, leave := range map[string]func(*peer){
		"reset":      func(p *peer) { p.SetLinger(0); p.Close() },
		"half-close": func(p *peer) { p.CloseWrite() },
		"both, with input behind": func(p *peer) {
			p.send("RETR 1\r\nQUIT\r\n")
			p.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, goOn := startSlow(t, true, false)
			p := f.dialPOP3(t)
			p.expect("+OK")
			p.say("USER mbrain", "+OK")
			p.send("PASS secret\r\n")
			<-s.asked
			leave(p)
			f.sessions(func(*conn.Session) {})
			goOn()
			until(t, "no client is counted", func() bool { return f.connected() == 0 })
			f.maildropIsFree(t, 1)
		})
	}
}

// connected is how many connections the server counts.
func (f *fixture) connected() int {
	all, _ := f.edge.Clients.Open()
	return all
}

// TestPeerGoneWhileDeliveryIsUnderWay: the message is delivered once, and the
// window given back.
func TestPeerGoneWhileDeliveryIsUnderWay(t *testing.T) {
	f, s, goOn := startSlow(t, false, true)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.send(strings.Repeat("x\r\n", 100000) + ".\r\n")
	<-s.asked
	p.SetLinger(0)
	p.Close()
	until(t, "the session is over", func() bool { return f.smtpsrv.Stats.Sessions.Load() == 0 })
	goOn()
	until(t, "the window is given back", func() bool { return f.budget.Used() == 0 })
	if m, _, err := f.store.Usage(1); m != 1 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
}

// TestAccountRemovedDuringATransaction: 451, because there may be other
// recipients; the sender comes again, and then RCPT tells it which one is gone.
func TestAccountRemovedDuringATransaction(t *testing.T) {
	f := start(t, nil, nil)
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	if err := f.store.RemoveAccount(1); err != nil {
		t.Fatal(err)
	}
	p.say("x\r\n.", "451 4.3.0")
	p.say("MAIL FROM:<>", "250 ")
	p.say("RCPT TO:<mbrain@localhost>", "550 5.1.1")
	p.say("RCPT TO:<jsmith@localhost>", "250 ")
	p.say("DATA", "354 ")
	p.say("x\r\n.", "250 ")
	if m, _, err := f.store.Usage(2); m != 1 || err != nil {
		t.Errorf("%d messages, %v", m, err)
	}
}

// TestTraceFieldsOfEachRecipient: an alias shows in Delivered-To, to recipients that it
// led to only; each maildrop gets the message once; the recipients stay secret.
func TestTraceFieldsOfEachRecipient(t *testing.T) {
	f := start(t, nil, nil)
	if err := f.store.SetAliases([]storage.Alias{{Name: "team", Domain: "localhost", Targets: []string{"mbrain@localhost", "jsmith@localhost"}}}); err != nil {
		t.Fatal(err)
	}
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO c", "250 ")
	p.say("MAIL FROM:<a@b.test>", "250 ")
	for _, to := range []string{"jsmith", "team", "postmaster", "jsmith", "team"} {
		p.say("RCPT TO:<"+to+"@localhost>", "250 ")
	}
	p.say("DATA", "354 ")
	p.say("Subject: x\r\n\r\nx\r\n.", "250 ")
	for user, delivered := range map[string]string{"mbrain": "Delivered-To: mbrain@localhost\r\n", "jsmith": "", "postmaster": ""} {
		q := f.login(t, user)
		size := strings.Fields(q.say("STAT", "+OK 1 "))[2]
		q.say("RETR 1", "+OK "+size)
		got := q.listing()
		if want := "Return-Path: <a@b.test>\r\n" + delivered + "Received: from c "; !strings.HasPrefix(got, want) {
			t.Errorf("%s got\n%s\nwant\n%s", user, got, want)
		}
		if strings.Contains(got, " for <") {
			t.Errorf("%s sees another recipient:\n%s", user, got)
		}
	}
}

// TestLoginDelayCountsLoginsOnly: one that found the maildrop in use was none.
func TestLoginDelayCountsLoginsOnly(t *testing.T) {
	f := start(t, func(c *config.Config) { c.POP3.LoginDelay = time.Hour }, nil)
	held, err := f.store.LockMaildrop(1)
	if err != nil {
		t.Fatal(err)
	}
	p := f.dialPOP3(t)
	p.expect("+OK")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "-ERR [IN-USE]")
	held.Release()
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "+OK")
	p.say("QUIT", "+OK")
	p = f.dialPOP3(t)
	p.expect("+OK")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "-ERR [LOGIN-DELAY]")
	f.maildropIsFree(t, 1)
}

// A message that is in its last steps when the drain gives up waiting comes with work for pools
// that are closed. It is told that there is no room, as it would be told by a full pool.
func TestStepsOfMessagesAfterTheDrain(t *testing.T) {
	f := start(t, nil, nil)
	f.Drain(t.Context())
	in := f.entrance.Load()
	for name, step := range map[string]func(work, full func()){
		"place":      func(work, full func()) { in.Place(false, work, full) },
		"place last": func(work, full func()) { in.Place(true, work, full) },
		"convert":    in.Convert,
	} {
		refused := false
		step(func() { t.Errorf("%s: done after the drain", name) }, func() { refused = true })
		if !refused {
			t.Errorf("%s: the message waits for ever", name)
		}
	}
}
