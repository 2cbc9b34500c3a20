package server

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/admit/password"
	"postrider/engine/config"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func plain(user, word string) string { return "AUTH PLAIN " + b64("\x00"+user+"\x00"+word) }

// now lets wrong passwords cost no time, in tests about something else.
func now(c *config.Config) { c.Auth.FailureDelay = 0 }

// hello is a session of SMTP that has said EHLO.
func (f *fixture) hello(t testing.TB) *peer {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	return p
}

// dialFrom dials from another address of loopback.
func dialFrom(t testing.TB, from, to string) *peer {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func TestWhoHasLoggedInMayRelay(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Relay.Networks = nil }, nil)
	p := f.hello(t)
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<someone@elsewhere.example>", "554 5.7.1")
	p.say("RSET", "250 ")
	p.say(plain("mbrain", "wrong"), "535 5.7.8")
	p.say(plain("MBrain@LOCALHOST", "secret"), "235 2.7.0")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<someone@elsewhere.example>", "250 2.1.5")
	p.say("RSET", "250 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	p.say("RCPT TO:<jsmith@localhost>", "250 2.1.5")
	p.say("BDAT 2 LAST\r\n\r\n", "250 2.0.0")
	q := f.login(t, "jsmith")
	q.say("RETR 1", "+OK")
	if got := q.listing(); !strings.Contains(got, " with ESMTPA id ") {
		t.Errorf("no ESMTPA in %q", got)
	}
}

// Each mechanism that sends the password, in both protocols, and the identity to
// act as: one's own and no other.
func TestPasswordMechanisms(t *testing.T) {
	f := start(t, func(c *config.Config) { now(c); c.Auth.Mechanisms |= sasl.SetOf(sasl.CramMD5) }, nil)
	for _, protocol := range []struct {
		open                  func() *peer
		more, yes, no, denied string
	}{
		{func() *peer { return f.hello(t) }, "334 ", "235 ", "501 ", "535 "},
		{func() *peer { p := f.dialPOP3(t); p.expect("+OK"); return p }, "+ ", "+OK", "-ERR", "-ERR [AUTH]"},
	} {
		p := protocol.open()
		p.say("AUTH PLAIN", protocol.more)
		p.say("*", protocol.no)
		p.say("AUTH PLAIN "+b64("jsmith\x00mbrain\x00secret"), protocol.denied)
		p.say("AUTH PLAIN "+b64("nobody\x00mbrain\x00secret"), protocol.denied)
		p.say("AUTH PLAIN "+b64("mbrain@localhost\x00mbrain\x00secret"), protocol.yes)
		p.Close()
		p = protocol.open()
		p.say("AUTH LOGIN", protocol.more)
		p.say(b64("jsmith"), protocol.more)
		p.say(b64("secret"), protocol.yes)
		p.Close()
		p = protocol.open()
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.say("AUTH CRAM-MD5", protocol.more), protocol.more))
		if err != nil || !strings.HasSuffix(string(challenge), "@mx.test>") {
			t.Fatalf("%q %v", challenge, err)
		}
		p.say(b64("postmaster 00000000000000000000000000000000"), protocol.denied)
	}
}

// prove logs in with the client of another make.
func prove(t *testing.T, p *peer, more, user, word string) (reply string) {
	t.Helper()
	client, err := scram.SHA256.NewClient(user, word, "")
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewConversation()
	message, err := c.Step("")
	for line := "AUTH SCRAM-SHA-256 " + b64(message); err == nil; line = b64(message) {
		p.send(line + "\r\n")
		reply = p.line()
		challenge, ok := strings.CutPrefix(reply, more)
		if !ok {
			return reply
		}
		var text []byte
		if text, err = base64.StdEncoding.DecodeString(challenge); err == nil {
			message, err = c.Step(string(text))
		}
	}
	t.Fatalf("%s: %v", user, err)
	return ""
}

func (f *fixture) setPassword(t testing.TB, user, word string) {
	t.Helper()
	hash, err := password.Hash([]byte(word), f.config().HashCost())
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.router.Login([]byte(user))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.SetPassword(a.ID, hash, ""); err != nil {
		t.Fatal(err)
	}
}

func TestSCRAMInBothProtocols(t *testing.T) {
	f := start(t, now, nil)
	f.setPassword(t, "mbrain", "new word")
	for _, user := range []string{"mbrain", "Mbrain@Localhost"} {
		if got := prove(t, f.hello(t), "334 ", user, "new word"); !strings.HasPrefix(got, "235 ") {
			t.Errorf("SMTP: %q", got)
		}
		p := f.dialPOP3(t)
		p.expect("+OK")
		if got := prove(t, p, "+ ", user, "new word"); !strings.HasPrefix(got, "+OK 0 ") {
			t.Errorf("POP3: %q", got)
		}
		p.say("QUIT", "+OK")
	}
	wrong := prove(t, f.hello(t), "334 ", "mbrain", "secret")
	unknown := prove(t, f.hello(t), "334 ", "nobody", "secret")
	if wrong != unknown || !strings.HasPrefix(wrong, "535 5.7.8") {
		t.Errorf("%q for a wrong password, %q for nobody", wrong, unknown)
	}
}

// RFC 5802 section 9: the salt for an unknown name looks like a salt, and stays what it is:
// for all ways to write the name, and after a restart.
func TestSCRAMDoesNotTellWhoIsThere(t *testing.T) {
	dir := t.TempDir()
	var salts []string
	for range 2 {
		f := start(t, func(c *config.Config) { now(c); c.Server.Data = dir }, nil)
		for _, user := range []string{"nobody", "NoBody", "nobody@LOCALHOST", "nobody@localhost"} {
			v := f.door.Verifier(user)
			if v.Iterations != f.config().Auth.ScramIterations || len(v.Salt) != sasl.SaltLen {
				t.Errorf("%+v", v)
			}
			salts = append(salts, string(v.Salt))
		}
		if other := f.door.Verifier("nobody2"); string(other.Salt) == salts[0] {
			t.Error("two names have one salt")
		}
	}
	for i, s := range salts {
		if s != salts[0] {
			t.Errorf("salt %d is %x, the first was %x", i, s, salts[0])
		}
	}
}

// auth.cache_ttl: the second login costs no hash, and a changed password counts at
// once.
func TestAChangedPasswordEndsWhatIsRemembered(t *testing.T) {
	f := start(t, now, nil)
	for i := range 3 {
		f.hello(t).say(plain("mbrain", "secret"), "235 ")
		f.login(t, "jsmith").say("QUIT", "+OK")
		if got := f.door.Stats.Remembered.Load(); got != int64(2*i) {
			t.Errorf("after %d logins each, %d were remembered", i+1, got)
		}
	}
	f.setPassword(t, "mbrain", "other")
	f.hello(t).say(plain("mbrain", "secret"), "535 ")
	f.hello(t).say(plain("mbrain", "other"), "235 ")
}

// auth.failures_per_network stops a client that guesses. It does not stop a client
// elsewhere, or one whose password is remembered.
func TestGuessesOfOneNetworkAreBounded(t *testing.T) {
	f := start(t, func(c *config.Config) {
		now(c)
		c.Auth.NetworkFailures, c.Auth.FailureWindow, c.POP3.MaxErrors = 5, 24*time.Hour, 100
	}, nil)
	smtp, pop3 := f.SMTPAddrs()[0].String(), f.POP3Addrs()[0].String()
	known := dialFrom(t, "127.0.9.9", smtp)
	known.expect("220 ")
	known.say("EHLO c", "250 ")
	known.say(plain("mbrain", "secret"), "235 ")

	for i := range 5 {
		p := dialFrom(t, fmt.Sprintf("127.0.9.%d", i+1), smtp)
		p.expect("220 ")
		p.say("EHLO c", "250 ")
		p.say(plain("mbrain", fmt.Sprint(i)), "535 ")
	}
	guesser := dialFrom(t, "127.0.9.7", smtp)
	guesser.expect("220 ")
	guesser.say("EHLO c", "250 ")
	guesser.say(plain("jsmith", "secret"), "454 4.7.0 Too many")
	guesser.say(plain("mbrain", "secret"), "235 ") // remembered
	other := dialFrom(t, "127.0.9.8", pop3)
	other.expect("+OK")
	other.say("USER jsmith", "+OK")
	other.say("PASS secret", "-ERR [SYS/TEMP] too many failed logins")
	if got := prove(t, other, "+ ", "jsmith", "wrong"); !strings.HasPrefix(got, "-ERR [SYS/TEMP] too many") {
		t.Errorf("a proof: %q", got)
	}
	f.hello(t).say(plain("jsmith", "secret"), "235 ")
}

// What is under way counts: a thousand guesses at once are no way around.
func TestGuessesAtOnceAreBounded(t *testing.T) {
	f := start(t, func(c *config.Config) {
		now(c)
		c.Auth.NetworkFailures, c.Auth.FailureWindow = 7, 24*time.Hour
	}, nil)
	const sessions, guesses = 20, 10
	answers := make(chan string, sessions*guesses)
	for range sessions {
		p := f.hello(t)
		go func() {
			for i := range guesses {
				fmt.Fprintf(p, "%s\r\n", plain("mbrain", fmt.Sprint(i)))
			}
			for range guesses {
				line, _ := p.r.ReadString('\n')
				answers <- line
			}
		}()
	}
	count := map[string]int{}
	for range sessions * guesses {
		count[(<-answers)[:3]]++
	}
	if count["535"] != 7 || count["454"] != sessions*guesses-7 {
		t.Errorf("%v, want 7 guesses looked at", count)
	}
}

// A wrong password waits on the loop's timer: meanwhile the session reads nothing,
// others go on, and what was pipelined is answered after it.
func TestAWrongPasswordWaitsAndHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *config.Config) { c.Auth.FailureDelay = time.Second }, nil)
	p := f.hello(t)
	p.send(plain("mbrain", "wrong") + "\r\nNOOP\r\n")
	f.hello(t).say(plain("mbrain", "secret"), "235 ")
	p.expect("535 5.7.8")
	p.expect("250 ")
	q := f.dialPOP3(t)
	q.expect("+OK")
	q.send(plain("mbrain", "wrong") + "\r\nCAPA\r\n")
	q.CloseWrite()
	q.expect("-ERR [AUTH]")
	q.expect("+OK")
	q.listing()
	q.end()
}

func TestAListenerMayWantALogin(t *testing.T) {
	f := start(t, func(c *config.Config) {
		now(c)
		c.SMTP.Listen = []config.SMTPListener{{Addr: "127.0.0.1:0", Auth: config.AuthRequired}, {Addr: "127.0.0.1:0", Auth: config.AuthOff}}
	}, nil)
	p := f.hello(t)
	p.say("MAIL FROM:<a@b.test>", "530 5.7.0")
	p.say(plain("mbrain", "secret"), "235 ")
	p.say("MAIL FROM:<mbrain@localhost>", "250 ")
	q := dial(t, f.SMTPAddrs()[1].String())
	q.expect("220 ")
	q.say("EHLO c", "250 ")
	q.say(plain("mbrain", "secret"), "502 ")
	q.say("MAIL FROM:<a@b.test>", "250 ")
}

// A client that leaves while the pool has its claim costs its network nothing if the claim
// was right, and the maildrop of a POP3 client is free after that. A wrong claim costs its
// token, although the client did not wait for the answer.
func TestAClientLeavesBeforeItsLoginIsJudged(t *testing.T) {
	f := start(t, func(c *config.Config) {
		now(c)
		c.Auth.NetworkFailures, c.Auth.FailureWindow, c.Auth.CacheTTL, c.Auth.Workers = 2, 24*time.Hour, 0, 1
	}, nil)
	smtp, pop3 := f.SMTPAddrs()[0].String(), f.POP3Addrs()[0].String()
	for n, c := range []struct {
		protocol, word string
		left           int // guesses that the network has after it
	}{{"SMTP", "secret", 2}, {"SMTP", "wrong", 1}, {"POP3", "secret", 2}, {"POP3", "wrong", 1}} {
		t.Run(c.protocol+" "+c.word, func(t *testing.T) {
			gate, judged := make(chan struct{}), make(chan struct{})
			f.door.Judge(attempt("wrong", site(n)), func(login.Outcome) { <-gate }) // it has the worker
			waiting := f.auth.Waiting
			until(t, "the worker is busy", func() bool { return waiting() == 0 })
			ip := fmt.Sprintf("127.0.%d.1", 20+n)
			var p *peer
			if c.protocol == "SMTP" {
				p = dialFrom(t, ip, smtp)
				p.expect("220 ")
				p.say("EHLO client.test", "250 ")
				p.send(plain("mbrain", c.word) + "\r\n")
			} else {
				p = dialFrom(t, ip, pop3)
				p.expect("+OK")
				p.say("USER mbrain", "+OK")
				p.send("PASS " + c.word + "\r\n")
			}
			until(t, "the login is queued", func() bool { return waiting() == 1 })
			sessions := f.smtpsrv.Stats.Sessions.Load() + f.pop3srv.Stats.Sessions.Load()
			if err := p.link.SetLinger(0); err != nil {
				t.Fatal(err)
			}
			p.Close()
			until(t, "the session is closed", func() bool { return f.smtpsrv.Stats.Sessions.Load()+f.pop3srv.Stats.Sessions.Load() < sessions })
			f.door.Judge(attempt("wrong", site(n)), func(login.Outcome) { close(judged) }) // the next one
			close(gate)
			<-judged
			for left := c.left; left >= 0; left-- {
				want := login.Denied
				if left == 0 {
					want = login.TooMany
				}
				if o := f.judge("another", netip.MustParseAddr(ip)); o.Verdict != want {
					t.Errorf("with %d guesses left the verdict is %d, not %d", left, o.Verdict, want)
				}
			}
			f.maildropIsFree(t, f.mbrain(t).ID)
		})
	}
}
