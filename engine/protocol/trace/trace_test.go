package trace

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postrider/codec/sasl"
	"postrider/engine/protocol/pop3d"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// The password of all tests, and how it comes in AUTH.
const word = "SeCrEtWoRd"

var (
	plain = base64.StdEncoding.EncodeToString([]byte("\x00jsmith\x00" + word))
	user  = base64.StdEncoding.EncodeToString([]byte("jsmith"))
	pass  = base64.StdEncoding.EncodeToString([]byte(word))
)

// machine is a machine with its driver.
type machine interface {
	state() string
	feed(in []byte) (n int, reply []byte, closed bool)
}

// drive gives a machine the parts of an input as a connection does, octets that were left
// with what comes next, and returns the trace.
func drive(m machine, d *Dialogue, parts [][]byte) {
	var kept []byte
	for _, part := range parts {
		in := append(slices.Clone(kept), part...)
		for {
			state := m.state()
			n, reply, closed := m.feed(in)
			if n > 0 {
				d.Client(in[:n], state)
			}
			if len(reply) > 0 {
				d.Server(reply)
			}
			in = in[n:]
			if closed {
				return
			}
			if n == 0 && len(reply) == 0 {
				break
			}
		}
		kept = in
	}
}

type smtpMachine struct {
	m smtpd.Session
	e smtpd.Effects
}

func newSMTP(offered bool) machine {
	c := &smtpd.Config{Hostname: "mx.test", MaxSize: 1 << 20}
	if offered {
		c.Auth = smtpd.Auth{Mechanisms: sasl.SetOf(sasl.Plain, sasl.Login), Plaintext: true, Nonce: func() string { return "n" }}
	}
	m := new(smtpMachine)
	m.m.Init(c, smtpd.Peer{Loopback: true})
	return m
}

func (s *smtpMachine) state() string {
	switch s.m.Phase() {
	case smtpd.Authenticating:
		return "AUTH"
	case smtpd.InData:
		return "DATA"
	}
	return "EHLO"
}

func (s *smtpMachine) feed(in []byte) (n int, reply []byte, closed bool) {
	e := &s.e
	e.Reset()
	for {
		k := s.m.Feed(in[n:], e)
		n += k
		e.Body, e.Drop, e.Forget = nil, false, false
		for e.Ask != smtpd.AskNothing {
			q := e.Ask
			e.Ask = smtpd.AskNothing
			a := smtpd.Answer{Verdict: smtpd.Denied}
			switch q {
			case smtpd.AskTransaction, smtpd.AskRecipient:
				a.Verdict = smtpd.Yes
			case smtpd.AskStored:
				a = smtpd.Answer{Verdict: smtpd.Yes, Receipt: storage.NewReceipt(1)}
			}
			s.m.Answer(a, e)
		}
		if k == 0 || e.Close {
			return n, e.Reply, e.Close
		}
	}
}

type pop3Machine struct {
	m pop3d.Session
	e pop3d.Effects
}

func newPOP3(apop bool) machine {
	m := new(pop3Machine)
	m.m.Init(&pop3d.Config{Hostname: "mx.test", APOP: apop, Plaintext: true, Mechanisms: sasl.SetOf(sasl.Plain, sasl.Login), ReplyBudget: 1 << 16,
		Nonce: func() string { return "n" }}, "<1@mx.test>", pop3d.Peer{Loopback: true})
	return m
}

func (s *pop3Machine) state() string { return s.m.State() }

func (s *pop3Machine) feed(in []byte) (n int, reply []byte, closed bool) {
	e := &s.e
	e.Reset()
	for {
		k := s.m.Feed(in[n:], e)
		n += k
		for e.Ask != pop3d.AskNothing {
			e.Ask = pop3d.AskNothing
			s.m.Answer(pop3d.Answer{Verdict: pop3d.Denied}, e)
		}
		if k == 0 || e.Close {
			return n, e.Reply, e.Close
		}
	}
}

// leaks are dialogues with a secret in places where a client may put one.
var leaks = map[Protocol][]string{
	SMTP: {
		"EHLO c.test\r\nAUTH PLAIN " + plain + "\r\nMAIL FROM:<a@c.test>\r\n",
		"EHLO c.test\r\nAUTH PLAIN\r\n" + plain + "\r\nNOOP\r\n",
		"EHLO c.test\r\nauth login\r\n" + user + "\r\n" + pass + "\r\nQUIT\r\n",
		"EHLO c.test\r\nAuth Login " + user + "\r\n" + pass + "\r\nQUIT\r\n",
		"EHLO c.test\r\nAUTH  PLAIN  " + plain + "\r\n",
		"EHLO c.test\nAUTH PLAIN " + plain + "\n",
		"EHLO c.test\r\n AUTH PLAIN " + plain + "\r\n",
		"EHLO c.test\r\nAUTH\tPLAIN\t" + plain + "\r\n",
		"EHLO c.test\r\nAUTH=PLAIN " + plain + "\r\n",
		"EHLO c.test\r\nAUHT PLAIN " + plain + "\r\n" + plain + "\r\n",
		"EHLO c.test\r\nAUTH PLAIN\r" + plain + "\r\n",
		"EHLO c.test\r\nAUTH " + plain + "\r\n",
		"EHLO c.test\r\nAUTH NONE " + plain + "\r\n" + plain + "\r\n",
		"AUTH LOGIN\r\n" + user + "\r\n" + pass + "\r\n", // refused: no EHLO
		"EHLO c.test\r\nAUTH LOGIN\r\n*\r\n" + pass + "\r\n",
		"EHLO c.test\r\nAUTH LOGIN\r\n" + user + "\r\n" + pass + "\r\n" + pass + "\r\n" + word + "\r\n",
		"EHLO c.test\r\nAUTH LOGIN\r\n" + user + "\r\n" + word + "\r\n", // no base64
		"EHLO c.test\r\nAUTH LOGIN\r\nNOOP " + word + "\r\n",            // looks like a command
		"EHLO c.test\r\nAUTH PLAIN " + strings.Repeat(plain, 300) + "\r\nNOOP\r\n",
		"EHLO c.test\r\nAUTH PLAIN\r\n" + strings.Repeat(plain, 900) + "\r\nNOOP\r\n",
		"EHLO c.test\r\nNOOP " + strings.Repeat("x", 2100) + plain + "\r\nNOOP\r\n",
		"EHLO c.test\r\nDATA\r\nAUTH PLAIN " + plain + "\r\n", // DATA is refused
		"EHLO c.test\r\nBDAT x\r\nAUTH PLAIN " + plain + "\r\n",
		"EHLO c.test\r\nBDAT 6 LAST\r\nNOOP\r\nAUTH PLAIN " + plain + "\r\n",
		"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@c.test>\r\nDATA\r\nSubject: x\r\n\r\n" + plain + "\r\n.\r\nAUTH PLAIN " + plain + "\r\n",
		"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@c.test>\r\nBDAT 6\r\nx: y\r\nBDAT 0 LAST\r\nAUTH PLAIN " + plain + "\r\n",
	},
	POP3: {
		"USER jsmith\r\nPASS " + word + "\r\nSTAT\r\n",
		"USER jsmith\r\npass " + word + " " + word + "\r\n",
		"USER jsmith\nPASS " + word + "\n",
		"USER jsmith " + word + "\r\n",
		"PASS " + word + "\r\n",
		" PASS " + word + "\r\nPASS\t" + word + "\r\nPASS: " + word + "\r\n",
		"APOP jsmith " + word + "\r\n",
		"APOP jsmith x " + word + "\r\n",
		"AUTH PLAIN " + plain + "\r\n",
		"AUTH PLAIN\r\n" + plain + "\r\nNOOP\r\n",
		"AUTH LOGIN\r\n" + user + "\r\n" + pass + "\r\nCAPA\r\n",
		"AUTH LOGIN " + user + "\r\n" + pass + "\r\n" + pass + "\r\n",
		"AUTH\r\nAUTH " + plain + "\r\n" + plain + "\r\n",
		"AUTH PLAIN\r\n*\r\n" + plain + "\r\n",
		"AUTH NONE\r\n" + plain + "\r\n",
		"AUTH LOGIN\r\nLANG " + word + "\r\n",
		word + "\r\n",
		"USER jsmith\r\nPASS " + strings.Repeat(word, 90) + "\r\nPASS " + word + "\r\n",
		"USER " + strings.Repeat("x", 600) + word + "\r\n",
	},
}

// No line of a trace has a secret, wherever the client puts it and however its octets are
// cut: whole, in two parts at each octet, and octet by octet.
func TestSecretsAreNotShown(t *testing.T) {
	for protocol, inputs := range leaks {
		for _, input := range inputs {
			for _, option := range []bool{true, false} {
				if !option && strings.Contains(input, "NOOP "+word) {
					continue // AUTH is refused, and it is a command
				}
				check := func(cut string, parts ...[]byte) {
					t.Helper()
					lines := traceOf(protocol, option, parts)
					text := strings.Join(lines, "\n")
					if len(lines) == 0 {
						t.Fatalf("%.60q, %s: no line", input, cut)
					}
					for _, secret := range []string{word, pass, plain, plain[8:], pass[:8]} {
						if strings.Contains(text, secret) {
							t.Fatalf("%.100q, %s: the trace shows a secret:\n%s", input, cut, text)
						}
					}
				}
				in := []byte(input)
				check("whole", in)
				if len(in) > 600 {
					continue
				}
				single := make([][]byte, 0, len(in))
				for i := range in {
					check(fmt.Sprint("cut at ", i), in[:i], in[i:])
					single = append(single, in[i:i+1])
				}
				check("octet by octet", single...)
			}
		}
	}
}

func traceOf(p Protocol, option bool, parts [][]byte) (lines []string) {
	d := New(p, false, func(l string) { lines = append(lines, l) })
	m := newSMTP(option)
	if p == POP3 {
		m = newPOP3(option)
	}
	drive(m, d, parts)
	return lines
}

// What is no secret is shown, in the notation of swaks.
func TestNotation(t *testing.T) {
	run := func(p Protocol, want string, lines ...string) {
		t.Helper()
		var parts [][]byte
		for _, l := range lines {
			parts = append(parts, []byte(l))
		}
		if got := strings.Join(traceOf(p, true, parts), "\n"); got != strings.TrimSpace(want) && !strings.HasSuffix(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	run(SMTP, ` -> AUTH LOGIN
<-  334 VXNlcm5hbWU6
 -> (not shown)
<-  334 UGFzc3dvcmQ6
 -> (not shown)
<-  535 5.7.8 Authentication credentials invalid
 -> MAIL FROM:<a@c.test>
<-  250 2.1.0 a@c.test... Sender ok
 -> RCPT TO:<b@c.test>
<-  250 2.1.5 b@c.test... Recipient ok
 -> DATA
<-  354 Enter mail, end with "." on a line by itself
 -> Subject: x
 ->   folded \x07
 -> `+`
 -> (10 octets more)
<-  250 2.0.0 `+storage.MessageID(1).String()+` Message accepted for delivery
 -> a command that is unknown (not shown)
<-  500 5.5.2 Command unrecognized
 -> QUIT
<-  221 2.0.0 mx.test closing connection`,
		"EHLO c.test\r\n", "AUTH LOGIN\r\n", user+"\r\n", pass+"\r\n", "MAIL FROM:<a@c.test>\r\n", "RCPT TO:<b@c.test>\r\n", "DATA\r\n",
		"Subject: x\r\n \tfolded \x07\r\n\r\nhel", "lo\r\n.", "\r\n", "WHAT\r\n", "QUIT\r\n")
	run(POP3, ` -> USER jsmith
<-  +OK send the password
 -> PASS (not shown)
<-  -ERR [AUTH] user name or password is wrong
 -> APOP jsmith (not shown)
<-  -ERR [AUTH] user name or password is wrong
 -> QUIT
<-  +OK goodbye`, "USER jsmith\r\n", "PASS "+word+"\r\n", "APOP jsmith 0123456789abcdef0123456789abcdef\r\n", "QUIT\r\n")
}

// Messages and listings of the server are cut to their header and first lines, however they
// are written.
func TestMessagesOfTheServerAreCut(t *testing.T) {
	message := "+OK 99 octets\r\nSubject: x\r\nFrom: a\r\n\r\n" + strings.Repeat("..text\r\n", 5000) + ".\r\n"
	list := "+OK\r\n" + strings.Repeat("1 2\r\n", 500) + ".\r\n"
	for _, step := range []int{1, 2, 3, 7, 1000, 1 << 20} {
		var lines []string
		d := New(POP3, false, func(l string) { lines = append(lines, l) })
		d.Client([]byte("RETR 1\r\nLIST\r\nNOOP\r\n"), "TRANSACTION")
		lines = nil
		var replies []byte
		for from := 0; from < len(message); from += step {
			part := message[from:min(from+step, len(message))]
			if from == 0 && step < 15 { // a status line is written whole
				part = message[:15]
				from = 15 - step
			}
			d.Server([]byte(part))
		}
		d.Server(append(replies, list+"+OK\r\n"...))
		want := []string{"<-  +OK 99 octets", "<-  Subject: x", "<-  From: a", "<-  ", "<-  (40003 octets more)", "<-  +OK"}
		if len(lines) != len(want)+listingLines+2 || !slices.Equal(lines[:len(want)], want) || lines[len(lines)-1] != "<-  +OK" {
			t.Errorf("step %d: %d lines:\n%.900s", step, len(lines), strings.Join(lines, "\n"))
		}
	}
}

// A trace of a session that has begun before shows nothing that it can't know.
func TestJoinedLate(t *testing.T) {
	var lines []string
	d := New(POP3, true, func(l string) { lines = append(lines, l) })
	d.Server([]byte("text of a message\r\n"))
	d.Client([]byte("NOOP\r\n"), "TRANSACTION")
	d.Server([]byte("more\r\n.\r\n+OK\r\n"))
	d.Secured()
	d.Client([]byte("QUIT\r\n"), "TRANSACTION")
	d.Server([]byte("+OK goodbye\r\n"))
	want := "<-  (19 octets)|" + " -> NOOP|<-  +OK|<-  (5 octets)| ~> QUIT|<~  +OK goodbye"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A bare dialogue has the number of a message's octets in place of its header. The dot that
// ends a message without an octet is shown.
func TestBare(t *testing.T) {
	var lines []string
	d := New(SMTP, false, func(l string) { lines = append(lines, l) }).Bare()
	for _, text := range []string{"Subject: x\r\n\r\ny\r\n.\r\n", "a: b\r\n.\r\n"} {
		d.Sent([]byte("DATA\r\n"), false)
		d.Server([]byte("354 go\r\n"))
		d.Sent([]byte(text), true)
		d.Server([]byte("250-one\r\n250 two\r\n"))
	}
	d.Sent([]byte("RCPT TO:<x@y>\r\nDATA\r\n"), false)
	d.Server([]byte("550 no\r\n354 go\r\n"))
	d.Sent([]byte(".\r\n"), false)
	d.Server([]byte("554 nothing\r\n"))
	d.Sent([]byte(".\r\n"), false)
	const message = " -> DATA\n<-  354 go\n -> (%d octets of the message)\n<-  250-one\n<-  250 two\n"
	want := fmt.Sprintf(message, 20) + fmt.Sprintf(message, 9) +
		" -> RCPT TO:<x@y>\n -> DATA\n<-  550 no\n<-  354 go\n -> .\n<-  554 nothing\n -> a command that is unknown (not shown)"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
