package e2e

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// clientHello is the first flight of a TLS client.
func clientHello(t *testing.T) string {
	t.Helper()
	ours, theirs := net.Pipe()
	go tls.Client(ours, &tls.Config{ServerName: "mx.localhost"}).Handshake()
	defer ours.Close()
	record := make([]byte, 16<<10)
	n, err := theirs.Read(record)
	if err != nil || n < 100 || record[0] != 22 {
		t.Fatalf("%d octets of a ClientHello, %v", n, err)
	}
	return string(record[:n])
}

// upgrade is how one protocol begins TLS.
type upgrade struct {
	addr            string
	before          steps
	command         string
	ready, refused  string // replies
	injected, taken string // a command that is slipped in, and how its reply would begin
}

func upgrades(s *server) []upgrade {
	return []upgrade{
		{s.smtp[0], steps{{"EHLO client.example", "250 "}}, "STARTTLS\r\n", "220 ", "554 ", "NOOP\r\n", "250"},
		{s.pop3[0], nil, "STLS\r\n", "+OK", "-ERR", "CAPA\r\n", "+OK"},
	}
}

// RFC 3207 section 4.2, RFC 2595 section 4, CVE-2011-0411: commands that an attacker on
// the way puts after STARTTLS are never run, within TLS or before.
func TestInjectionBeforeTLS(t *testing.T) {
	a := newAuthority(t)
	s := secureServer(t, a, openMechanisms, "reader")
	s.start()
	hello := clientHello(t)
	for _, u := range upgrades(s) {
		begin := func(t *testing.T) *socket {
			c := must(t, u.addr, nil)
			if err := c.play(u.before); err != nil {
				t.Fatal(err)
			}
			return c
		}
		t.Run(u.command+"in the same segment", func(t *testing.T) {
			for _, behind := range []string{u.injected, u.injected + hello, hello, "x", "\r\n"} {
				c := begin(t)
				got, err := c.say(u.command + behind)
				if err != nil || !strings.HasPrefix(got, u.refused) {
					t.Errorf("with %.20q after it got %q, %v; want %s", behind, got, err, u.refused)
				}
				if rest := c.gone(); rest != "" {
					t.Errorf("with %.20q after it, following the refusal came %q", behind, rest)
				}
			}
		})
		t.Run(u.command+"in the next segment", func(t *testing.T) {
			c := begin(t)
			if got, err := c.say(u.command); err != nil || !strings.HasPrefix(got, u.ready) {
				t.Fatalf("got %q, %v", got, err)
			}
			if _, err := c.Write([]byte(u.injected)); err != nil {
				t.Fatal(err)
			}
			if rest := c.gone(); strings.Contains(rest, u.taken) {
				t.Errorf("a command in the clear was answered: %q", rest)
			}
		})
		t.Run(u.command+"in a race with the reply", func(t *testing.T) {
			for range 20 {
				c := begin(t)
				if _, err := c.Write([]byte(u.command)); err != nil {
					t.Fatal(err)
				}
				got, err := c.say(u.injected)
				if err != nil || !strings.HasPrefix(got, u.refused) && !strings.HasPrefix(got, u.ready) {
					t.Errorf("got %q, %v", got, err)
				}
				if rest := c.gone(); strings.Contains(rest, u.taken) {
					t.Errorf("a command in the clear was answered: %q", rest)
				}
			}
		})
		t.Run(u.command+"as it should be", func(t *testing.T) {
			c := begin(t)
			if got, err := c.say(u.command); err != nil || !strings.HasPrefix(got, u.ready) {
				t.Fatalf("got %q, %v", got, err)
			}
			if err := c.secure(a.trusts()); err != nil {
				t.Fatal(err)
			}
			if got, err := c.say(u.injected); err != nil || !strings.HasPrefix(got, u.taken) {
				t.Errorf("within TLS %q got %q, %v", u.injected, got, err)
			}
		})
	}
	s.terminate()
}

// RFC 3207 section 4.2: nothing said before the handshake survives it, neither the
// name, nor the login, nor the transaction.
func TestTLSForgets(t *testing.T) {
	a := newAuthority(t)
	s := secureServer(t, a, openMechanisms, "reader")
	s.start()
	plain := "AUTH PLAIN " + encoded("\x00reader\x00"+password("reader"))
	c := must(t, s.smtp[0], nil)
	if err := c.play(steps{{"EHLO client.example", "250 "}, {plain, "235 "},
		{"MAIL FROM:<reader@localhost>", "250 "}, {"RCPT TO:<friend@far.example>", "250 "}, {"RSET", "250 "}, {"STARTTLS", "220 "}}); err != nil {
		t.Fatal(err)
	}
	if err := c.secure(a.trusts()); err != nil {
		t.Fatal(err)
	}
	if err := c.play(steps{{plain, "503 "}, {"EHLO client.example", "250 "}, {"STARTTLS", "503 "}, {"RCPT TO:<reader@localhost>", "503 "},
		{"MAIL FROM:<reader@localhost>", "250 "}, {"RCPT TO:<friend@far.example>", "554 5.7.1"}, {"RSET", "250 "}, {plain, "235 "},
		{"MAIL FROM:<reader@localhost>", "250 "}, {"RCPT TO:<friend@far.example>", "250 "}, {"QUIT", "221 "}}); err != nil {
		t.Error(err)
	}
	p := must(t, s.pop3[0], nil)
	if err := p.play(steps{{"USER reader", "+OK"}, {"STLS", "+OK"}}); err != nil {
		t.Fatal(err)
	}
	if err := p.secure(a.trusts()); err != nil {
		t.Fatal(err)
	}
	if err := p.play(steps{{"PASS " + password("reader"), "-ERR"}, {"STLS", "-ERR"}, {"USER reader", "+OK"},
		{"PASS " + password("reader"), "+OK"}, {"STLS", "-ERR"}, {"QUIT", "+OK"}}); err != nil {
		t.Error(err)
	}
	c.Close()
	p.Close()
	s.terminate()
}

// RFC 4954 section 4, RFC 5034 section 4: AUTH where it may not be, twice, cancelled,
// too long, not base64, with NUL in it. None succeeds, and after each the session goes
// on.
func TestBrokenLogins(t *testing.T) {
	a := newAuthority(t)
	s := secureServer(t, a, openMechanisms, "reader")
	s.start()
	right := encoded("\x00reader\x00" + password("reader"))
	long := strings.Repeat("QUJD", 10_000)
	broken := []struct {
		what  string
		lines []string // all but the last are answered by a challenge
	}{
		{"no mechanism", []string{"AUTH NONE " + right}},
		{"no base64", []string{"AUTH PLAIN *" + right}},
		{"base64 cut short", []string{"AUTH PLAIN " + strings.TrimRight(encoded("\x00reader\x00x"), "=")}},
		{"no base64 in a response", []string{"AUTH PLAIN", "!!!!"}},
		{"cancel", []string{"AUTH PLAIN", "*"}},
		{"cancel of a later response", []string{"AUTH LOGIN", encoded("reader"), "*"}},
		{"cancel of SCRAM", []string{"AUTH SCRAM-SHA-256 " + encoded("n,,n=reader,r=abcdefgh"), "*"}},
		{"an empty password", []string{"AUTH PLAIN " + encoded("\x00reader\x00")}},
		{"NUL after the password", []string{"AUTH PLAIN " + encoded("\x00reader\x00"+password("reader")+"\x00")}},
		{"NUL in the name", []string{"AUTH LOGIN", encoded("reader\x00x")}},
		{"NUL in the password", []string{"AUTH LOGIN", encoded("reader"), encoded(password("reader") + "\x00x")}},
		{"for somebody else", []string{"AUTH PLAIN " + encoded("postmaster\x00reader\x00"+password("reader"))}},
		{"an oversize response", []string{"AUTH PLAIN", long}},
		{"an oversize command", []string{"AUTH PLAIN " + long}},
	}
	for _, protocol := range []struct {
		name, addr, challenge, no, in string
		before, ok                    steps
		after                         steps
	}{
		{"smtp", s.smtps[0], "334", "5", "235", steps{{"EHLO client.example", "250 "}}, steps{{"NOOP", "250 "}},
			steps{{"AUTH PLAIN " + right, "503 "}, {"MAIL FROM:<reader@localhost>", "250 "}, {"AUTH PLAIN " + right, "503 "}, {"RCPT TO:<reader@localhost>", "250 "}}},
		{"pop3", s.pop3s[0], "+ ", "-ERR", "+OK", nil, nil, steps{{"AUTH PLAIN " + right, "-ERR"}, {"STAT", "+OK"}, {"QUIT", "+OK"}}}, // QUIT frees the maildrop for the next one
	} {
		for _, b := range broken {
			t.Run(protocol.name+" "+b.what, func(t *testing.T) {
				c := must(t, protocol.addr, a.trusts())
				script := protocol.before
				for i, line := range b.lines {
					want := protocol.challenge
					if i == len(b.lines)-1 {
						want = protocol.no
					}
					script = append(script, [2]string{line, want})
				}
				script = append(script, protocol.ok...)
				script = append(script, [2]string{"AUTH PLAIN " + right, protocol.in})
				if err := c.play(append(script, protocol.after...)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	c := must(t, s.smtps[0], a.trusts())
	if err := c.play(steps{{"EHLO client.example", "250 "}, {"MAIL FROM:<x@client.example>", "250 "}, {"AUTH PLAIN " + right, "503 "}, {"RCPT TO:<reader@localhost>", "250 "}, {"QUIT", "221 "}}); err != nil {
		t.Errorf("AUTH in a transaction: %v", err)
	}
	c.Close()
	s.terminate()
}
