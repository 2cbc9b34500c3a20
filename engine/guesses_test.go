package engine

import (
	"crypto/md5" //nolint:gosec // RFC 1939 section 7 says MD5
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/password"
	"postrider/engine/web"
)

// site is an address of the n-th of many networks.
func site(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}) }

// Guesses at one name from many networks: however many connections each has, few are
// looked at, and the owner waits nowhere where the name has logged in before, and elsewhere
// no longer than the longest wait.
func TestGuessesFromManyNetworks(t *testing.T) {
	const networks, span, most = 27, 45 * time.Second, 20 * time.Second
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuesses(20, most, 10*time.Minute)
	home := g.attempt("alice", "hash", site(1000))
	g.admit(&home, now)
	g.settle(&home, true, false, now)
	looked := 0
	for at, end := now, now.Add(span); at.Before(end); at = at.Add(100 * time.Millisecond) {
		for n := range networks {
			for range 3 { // connections
				a := g.attempt("alice", "hash", site(n))
				wait, ok := g.admit(&a, at)
				if !ok {
					continue
				}
				looked++
				if wait > most {
					t.Fatalf("a login waits for %v", wait)
				}
				if wait == 0 {
					g.settle(&a, false, true, at)
					continue
				}
				defer func() { g.settle(&a, false, true, at.Add(wait)) }()
			}
		}
	}
	if most := 20 + networks*3; looked > most {
		t.Errorf("%d guesses were looked at, more than %d", looked, most)
	}
	end := now.Add(span)
	if a := g.attempt("alice", "hash", site(1000)); !g.knows(&a, end) {
		t.Error("the owner's network is not known")
	} else if wait, ok := g.admit(&a, end); wait != 0 || !ok {
		t.Errorf("the owner waits for %v, %v", wait, ok)
	}
	if a := g.attempt("alice", "hash", site(2000)); g.knows(&a, end) {
		t.Error("another network is known")
	} else if wait, ok := g.admit(&a, end); wait == 0 || wait > most || !ok {
		t.Errorf("elsewhere the owner waits for %v, %v", wait, ok)
	}
	if a := g.attempt("bob", "hash", site(0)); g.wait(g.of.Used(a.name, end)) != 0 {
		t.Error("another name waits")
	}
	later := end.Add(time.Hour)
	if a := g.attempt("alice", "hash", site(3000)); g.wait(g.of.Used(a.name, later)) != 0 {
		t.Error("the wrong passwords are not forgotten")
	}
}

// What nobody looked at, and what was right, does not count.
func TestGuessesThatDoNotCount(t *testing.T) {
	now := time.Now()
	g := newGuesses(3, time.Second, time.Hour)
	for n := range 100 {
		a := g.attempt("alice", "hash", site(n))
		if wait, ok := g.admit(&a, now); wait != 0 || !ok {
			t.Fatalf("login %d waits for %v, %v", n, wait, ok)
		}
		g.settle(&a, n%2 == 0, false, now)
		g.settle(&a, false, false, now) // again: nothing
	}
	if g.of.Len() != 0 || len(g.waiting) != 0 {
		t.Errorf("%d names, %d wait", g.of.Len(), len(g.waiting))
	}
	for n := range 100 {
		a := g.attempt("bob", "hash", site(n))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
	}
	for n := range 100 { // clients that leave while they wait
		a := g.attempt("bob", "hash", site(n))
		if wait, ok := g.admit(&a, now); wait != time.Second || !ok {
			t.Fatalf("after %d clients that have left a login waits for %v, %v", n, wait, ok)
		}
		g.settle(&a, false, false, now)
	}
	off := newGuesses(0, time.Second, time.Hour)
	for n := range 100 {
		a := off.attempt("alice", "hash", site(n))
		if wait, ok := off.admit(&a, now); wait != 0 || !ok {
			t.Fatalf("login %d waits for %v, %v", n, wait, ok)
		}
		off.settle(&a, false, true, now)
	}
}

// The tables of names and places are bounded, and what matters most stays.
func TestGuessesAreBounded(t *testing.T) {
	now := time.Now()
	g := newGuesses(20, time.Second, time.Hour)
	for range 40 {
		a := g.attempt("alice", "hash", site(0))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
	}
	for n := range maxNames + 2000 {
		a := g.attempt(fmt.Sprint("name", n), "hash", site(n))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
		b := g.attempt(fmt.Sprint("other", n), "hash", site(n))
		g.admit(&b, now)
		g.settle(&b, true, false, now.Add(time.Duration(n)))
	}
	if g.of.Len() > maxNames || g.places.Len() > maxPlaces || len(g.waiting) > 0 {
		t.Errorf("%d names, %d places, %d wait", g.of.Len(), g.places.Len(), len(g.waiting))
	}
	if a := g.attempt("alice", "hash", site(1)); g.wait(g.of.Used(a.name, now)) == 0 {
		t.Error("the name with the most wrong passwords was forgotten")
	}
}

// attempt is a login of mbrain.
func (f *fixture) attempt(t *testing.T, ip netip.Addr) attempt {
	a := f.mbrain(t)
	return f.door.guesses.attempt("mbrain@localhost", a.Hash+a.Secret, ip)
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
		a := f.attempt(t, site(n))
		if _, ok := f.door.guesses.admit(&a, time.Now()); !ok {
			t.Fatal("not admitted")
		}
		f.door.guesses.settle(&a, false, true, time.Now())
	}
	return f
}

// slowedTo waits until so many logins have been told to wait.
func (f *fixture) slowedTo(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(hang); f.stats.slowed.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d logins wait, not %d", f.stats.slowed.Load(), n)
		}
	}
}

// Each way to log in waits before the password is looked at; another one from the same
// network is refused; and where the account has logged in before none of them waits. When
// the client leaves, or the server ends, nothing is left.
func TestEachWayToLogInWaits(t *testing.T) {
	f := patient(t, func(c *config.Config) { c.POP3.APOP = true })
	hash, err := password.Hash([]byte("secret"), f.cfg.HashCost())
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
		_, _ = f.webLogin(t.Context(), "mbrain", []byte("secret"), netip.MustParseAddr("127.0.4.1"))
	}()
	f.slowedTo(t, 4)
	waits := func() int {
		f.door.guesses.mu.Lock()
		defer f.door.guesses.mu.Unlock()
		return len(f.door.guesses.waiting)
	}
	if n := waits(); n != 4 {
		t.Errorf("%d wait", n)
	}
	home := f.attempt(t, netip.MustParseAddr("127.0.9.1"))
	f.door.guesses.admit(&home, time.Now())
	f.door.guesses.settle(&home, true, false, time.Now())
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

// A server that ends does not wait for those who wait.
func TestDrainEndsTheWait(t *testing.T) {
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
	if _, err := f.webLogin(t.Context(), "mbrain", []byte("wrong"), netip.MustParseAddr("127.0.3.1")); !errors.Is(err, web.ErrDenied) {
		t.Errorf("web: %v", err)
	}
	if _, err := f.webLogin(t.Context(), "mbrain", []byte("secret"), netip.MustParseAddr("127.0.3.1")); err != nil {
		t.Errorf("web: %v", err)
	}
	n := f.stats.slowed.Load()
	for _, ip := range []string{"127.0.1.9", "127.0.2.9", "127.0.3.9"} {
		a := f.attempt(t, netip.MustParseAddr(ip))
		if !f.door.guesses.knows(&a, time.Now()) {
			t.Errorf("%s is not known", ip)
		}
	}
	if f.stats.slowed.Load() != n || n != 6 {
		t.Errorf("%d logins waited", n)
	}
	f.setPassword(t, "mbrain", "new word")
	if a := f.attempt(t, netip.MustParseAddr("127.0.1.9")); f.door.guesses.knows(&a, time.Now()) {
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
