package server

import (
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/admit/password"
	"postrider/engine/config"
)

// site is an address of the n-th of many networks.
func site(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}) }

// judge is the outcome of a password for mbrain that comes from an address, without the wait
// for its turn.
func (f *fixture) judge(word string, from netip.Addr) login.Outcome {
	judged := make(chan login.Outcome, 1)
	tell := func(o login.Outcome) { judged <- o }
	a := attempt(word, from)
	o, now := f.door.Judge(a, tell)
	if o.Verdict == login.Turn {
		o, now = f.door.Judge(a, tell)
	}
	if !now {
		o = <-judged
	}
	return o
}

// first is the outcome of a password for mbrain that is known at once. If it is to wait for
// its turn, it is given up.
func (f *fixture) first(t *testing.T, word string, from netip.Addr) login.Verdict {
	t.Helper()
	a := attempt(word, from)
	o, now := f.door.Judge(a, func(login.Outcome) {})
	if !now {
		t.Errorf("a password from %s was hashed", from)
	}
	f.door.Abandon(a)
	return o.Verdict
}

func attempt(word string, from netip.Addr) *login.Attempt {
	return &login.Attempt{Claim: sasl.Claim{Need: sasl.NeedPassword, User: "mbrain", Password: []byte(word)}, From: from}
}

// patient has many wrong passwords for mbrain from elsewhere, so that a login waits for ever.
func patient(t *testing.T, more func(*config.Config)) *fixture {
	f := start(t, func(c *config.Config) {
		now(c)
		c.Auth.AccountFailures, c.Auth.AccountDelay = 2, time.Hour
		if more != nil {
			more(c)
		}
	}, nil)
	f.setPassword(t, "mbrain", "secret")
	for n := range 30 {
		if o := f.judge("wrong", site(n)); o.Verdict != login.Denied {
			t.Fatalf("%+v", o)
		}
	}
	f.door.Stats.Slowed.Store(0)
	return f
}

// slowedTo waits until so many logins have been told to wait.
func (f *fixture) slowedTo(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(hang); f.door.Stats.Slowed.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d logins wait, not %d", f.door.Stats.Slowed.Load(), n)
		}
	}
}

// Each way to log in waits before the password is looked at; another one from the same
// network is refused; and where the account has logged in before none of them waits. When
// the client leaves, or the server ends, nothing is left.
func TestEachWayToLogInWaits(t *testing.T) {
	f := patient(t, func(c *config.Config) { c.POP3.APOP = true })
	hash, err := password.Hash([]byte("secret"), f.config().HashCost())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.SetPassword(f.mbrain(t).ID, hash, "secret"); err != nil {
		t.Fatal(err)
	}
	smtp, pop3 := f.SMTPAddrs()[0].String(), f.POP3Addrs()[0].String()
	open := []*peer{}
	from := func(ip, to, greeting string) *peer {
		p := dialFrom(t, ip, to)
		p.expect(greeting)
		if to == smtp {
			p.say("EHLO client.test", "250 ")
		}
		open = append(open, p)
		return p
	}
	from("127.0.1.1", smtp, "220 ").send(plain("mbrain", "secret") + "\r\n")
	f.slowedTo(t, 1)
	from("127.0.1.2", smtp, "220 ").say(plain("mbrain", "secret"), "454 4.7.0 ")
	p := from("127.0.2.1", pop3, "+OK")
	p.say("USER mbrain", "+OK")
	p.send("PASS secret\r\n")
	f.slowedTo(t, 2)
	q := dialFrom(t, "127.0.3.1", pop3)
	greeting := q.expect("+OK")
	stamp := greeting[strings.IndexByte(greeting, '<'):]
	q.send("APOP mbrain " + md5hex(strings.TrimSpace(stamp)+"secret") + "\r\n")
	open = append(open, q)
	f.slowedTo(t, 3)
	go func() { // it ends when the server does, or when the wait is over
		_, _ = f.door.SignIn(t.Context(), "mbrain", []byte("secret"), netip.MustParseAddr("127.0.4.1"))
	}()
	f.slowedTo(t, 4)
	waits := func() (n int) {
		for _, ip := range []string{"127.0.1.9", "127.0.2.9", "127.0.3.9", "127.0.4.9"} {
			switch v := f.first(t, "wrong", netip.MustParseAddr(ip)); v {
			case login.TooMany: // another one from there waits
				n++
			case login.Turn:
			default:
				t.Fatalf("from %s: verdict %d", ip, v)
			}
		}
		return n
	}
	if n := waits(); n != 4 {
		t.Errorf("%d wait", n)
	}
	if o := f.judge("secret", netip.MustParseAddr("127.0.9.1")); o.Verdict != login.Granted {
		t.Fatalf("%+v", o)
	}
	from("127.0.9.7", smtp, "220 ").say(plain("mbrain", "wrong"), "535 ")
	from("127.0.9.7", smtp, "220 ").say(plain("mbrain", "secret"), "235 ")
	p = from("127.0.9.8", pop3, "+OK")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "+OK")
	p.say("QUIT", "+OK")
	for _, p := range open {
		if err := p.link.(*net.TCPConn).SetLinger(0); err != nil { // or a client that has only half closed would be answered
			t.Fatal(err)
		}
		p.Close()
	}
	for end := time.Now().Add(hang); waits() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wait though the clients have left", waits())
		}
	}
}

// A server that ends does not wait for logins that wait.
func TestDrainEndsTheWait(t *testing.T) {
	t.Parallel()
	f := patient(t, nil)
	p := dialFrom(t, "127.0.1.1", f.SMTPAddrs()[0].String())
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.send(plain("mbrain", "secret") + "\r\n")
	q := dialFrom(t, "127.0.2.1", f.POP3Addrs()[0].String())
	q.expect("+OK")
	q.say("USER mbrain", "+OK")
	q.send("PASS secret\r\n")
	f.slowedTo(t, 2)
	done := f.drain()
	p.expect("421 ")
	p.end()
	q.expect("-ERR [SYS/TEMP] ")
	q.end()
	<-done
}

// After the wait the right password is right, and its network is known from then on.
func TestTheWaitComesToAnEnd(t *testing.T) {
	t.Parallel()
	f := patient(t, func(c *config.Config) { c.Auth.AccountDelay = 50 * time.Millisecond })
	p := dialFrom(t, "127.0.1.1", f.SMTPAddrs()[0].String())
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say(plain("mbrain", "wrong"), "535 ")
	if got := prove(t, p, "334 ", "mbrain", "secret"); !strings.HasPrefix(got, "235 ") {
		t.Errorf("SMTP: %s", got)
	}
	q := dialFrom(t, "127.0.2.1", f.POP3Addrs()[0].String())
	q.expect("+OK")
	if got := prove(t, q, "+ ", "mbrain", "wrong"); !strings.HasPrefix(got, "-ERR [AUTH] ") {
		t.Errorf("POP3: %s", got)
	}
	q.say("USER mbrain", "+OK")
	q.say("PASS secret", "+OK")
	if _, err := f.door.SignIn(t.Context(), "mbrain", []byte("wrong"), netip.MustParseAddr("127.0.3.1")); !errors.Is(err, login.ErrDenied) {
		t.Errorf("web: %v", err)
	}
	if _, err := f.door.SignIn(t.Context(), "mbrain", []byte("secret"), netip.MustParseAddr("127.0.3.1")); err != nil {
		t.Errorf("web: %v", err)
	}
	n := f.door.Stats.Slowed.Load()
	for _, ip := range []string{"127.0.1.9", "127.0.2.9", "127.0.3.9"} {
		if v := f.first(t, "secret", netip.MustParseAddr(ip)); v != login.Granted {
			t.Errorf("%s is not known", ip)
		}
	}
	if f.door.Stats.Slowed.Load() != n || n != 6 {
		t.Errorf("%d logins waited", n)
	}
	f.setPassword(t, "mbrain", "new word")
	if v := f.first(t, "new word", netip.MustParseAddr("127.0.1.9")); v != login.Turn {
		t.Error("a network is known where another password was right")
	}
}

// A password that is remembered does not answer guesses from elsewhere while the network has
// no more of them.
func TestARememberedPasswordIsNoOracle(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Auth.NetworkFailures = 2 }, nil)
	f.hello(t).say(plain("mbrain", "secret"), "235 ")
	for range 2 {
		p := dialFrom(t, "127.0.1.1", f.SMTPAddrs()[0].String())
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.say(plain("jsmith", "wrong"), "535 ")
	}
	p := dialFrom(t, "127.0.1.1", f.SMTPAddrs()[0].String())
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say(plain("mbrain", "secret"), "454 ")
	f.hello(t).say(plain("mbrain", "secret"), "235 ")
}

func md5hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
