package sink

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"postrider/bench"
)

// three are messages with what clients trip over.
var three = [][]byte{
	[]byte("Subject: one\r\n\r\nfirst\r\n..\r\nlast\r\n"),
	[]byte("Subject: two\r\n\r\n"),
	[]byte("..no header\r\n"),
}

func playPOP3(t *testing.T, o POP3Options, dialogue string) {
	t.Helper()
	if o.Messages == nil {
		o.Messages = three
	}
	s := New(Options{POP3: o})
	converse(t, func() machine { return s.POP3Session("192.0.2.1") }, dialogue)
}

// in is a login.
const in = "S: +OK sink.example ready\nC: USER u@v.example\nS: +OK\nC: PASS x\nS: +OK welcome\n"

func TestPOP3Session(t *testing.T) {
	playPOP3(t, POP3Options{}, in+`
		C: STAT
		S: +OK 3 60
		C: LIST\r\nLIST 2\r\nLIST 4
		S: +OK
		S: 1 32
		S: 2 16
		S: 3 12
		S: .
		S: +OK 2 16
		S: -ERR no such message
		C: UIDL\r\nUIDL 3
		S: +OK
		S: 1 m1
		S: 2 m2
		S: 3 m3
		S: .
		S: +OK 3 m3
		C: RETR 1\r\nRETR 0
		S: +OK 32 octets
		S: Subject: one
		S:
		S: first
		S: ..
		S: last
		S: .
		S: -ERR no such message
		C: TOP 1 1\r\nTOP 1 0\r\nTOP 3 9\r\nTOP 1
		S: +OK
		S: Subject: one
		S:
		S: first
		S: .
		S: +OK
		S: Subject: one
		S:
		S: .
		S: +OK
		S: ..no header
		S: .
		S: -ERR TOP takes a message and a number of lines
		C: DELE 1\r\nDELE 1\r\nSTAT\r\nRSET\r\nDELE 2\r\nQUIT
		S: +OK
		S: -ERR no such message
		S: +OK 2 28
		S: +OK
		S: +OK
		S: +OK bye
		E: close
		N:
		`+in+`
		C: UIDL
		S: +OK
		S: 1 m1
		S: 2 m3
		S: .`)
	playPOP3(t, POP3Options{}, `
		S: +OK sink.example ready
		C: STAT\r\nPASS x\r\nSTLS\r\nAUTH LOGIN\r\nAUTH PLAIN nonsense\r\nCAPA
		S: -ERR log in first
		S: -ERR USER first
		S: -ERR no TLS here
		S: -ERR only PLAIN
		S: -ERR [AUTH] not a response of PLAIN
		S: +OK
		S: TOP
		S: UIDL
		S: USER
		S: SASL PLAIN
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: .
		C: AUTH PLAIN
		S: +
		C: AHUAcA==
		S: +OK welcome
		C: NOOP\r\nUSER x
		S: +OK
		S: -ERR unknown command`)
}

// Each way to fail, by rule.
func TestPOP3Session_Faults(t *testing.T) {
	f := func(rule, dialogue string) {
		t.Helper()
		r, err := ParsePOP3Rule(rule)
		if err != nil {
			t.Fatal(err)
		}
		playPOP3(t, POP3Options{Rules: []*Rule{r}}, dialogue)
	}
	const hello = "S: +OK sink.example ready\n"
	f("err-greeting", "S: -ERR as asked for by err-greeting\nE: close")
	f("silence-greeting", "E: silence")
	f("err-user", hello+"C: USER u\nS: -ERR as asked for by err-user\nC: PASS x\nS: -ERR USER first")
	f("inuse-pass-first1", hello+"C: USER u\nS: +OK\nC: PASS x\nS: -ERR [IN-USE] as asked for by inuse-pass-first1\nC: USER u\nS: +OK\nC: PASS x\nS: +OK welcome")
	f("auth-pass", hello+"C: AUTH PLAIN AHUAcA==\nS: -ERR [AUTH] as asked for by auth-pass")
	f("temp-stat", in+"C: STAT\nS: -ERR [SYS/TEMP] as asked for by temp-stat")
	f("wait2s-list", in+"C: LIST 2\nS: +OK 2 16\nE: wait 2s")
	f("reset-uidl", in+"C: UIDL\nE: reset")
	f("perm-dele", in+"C: DELE 1\nS: -ERR [SYS/PERM] as asked for by perm-dele\nC: STAT\nS: +OK 3 60")
	f("err-retr-after1", in+"C: RETR 2\\r\\nRETR 2\nS: +OK 16 octets\nS: Subject: two\nS:\nS: .\nS: -ERR as asked for by err-retr-after1")
	f("nodot-retr", in+"C: RETR 2\\r\\nNOOP\nS: +OK 16 octets\nS: Subject: two\nS:\nS: +OK")
	f("nodot-uidl", in+"C: UIDL\nS: +OK\nS: 1 m1\nS: 2 m2\nS: 3 m3")
	f("unstuffed-top", in+"C: TOP 1 9\nS: +OK\nS: Subject: one\nS:\nS: first\nS: .\nS: last\nS: .")
	// What is written goes out before the wait, and before the end.
	f("wait5s-body", in+"C: RETR 2\nS: +OK 16 octets\nS: Subject:\nE: wait 5s\nS:  two\nS:\nS: .")
	f("close-body", in+"C: RETR 2\nS: +OK 16 octets\nS: Subject:\nE: close")
	f("silence-end", in+"C: RETR 2\\r\\nNOOP\nS: +OK 16 octets\nS: Subject: two\nS:\nE: silence")
	f("close-body", in+"C: LIST\nS: +OK\nS: 1 32\nS: 2 16\nS: 3 12\nS: .") // for messages only
	again := "C: DELE 1\\r\\nQUIT\nS: +OK\n%s\nE: close\nN:\n" + in + "C: STAT\nS: +OK 3 60"
	f("err-quit", in+fmt.Sprintf(again, "S: -ERR as asked for by err-quit"))
	f("close-quit", in+strings.ReplaceAll(again, "%s\n", ""))
}

func TestPOP3Session_Waits(t *testing.T) {
	waits := make(map[Stage]Wait)
	for stage, text := range map[Stage]string{Stat: "1s", Body: "2s", Quit: "uniform:3s-3s"} {
		w, err := ParseWait(text)
		if err != nil {
			t.Fatal(err)
		}
		waits[stage] = w
	}
	playPOP3(t, POP3Options{Waits: waits}, in+`
		C: STAT\r\nTOP 2 0\r\nQUIT
		S: +OK 3 60
		E: wait 1s
		S: +OK
		S: Subject:
		E: wait 2s
		S:  two
		S:
		S: .
		S: +OK bye
		E: wait 3s
		E: close`)
}

// A user's name is a rule, for its own sessions only.
func TestPOP3Session_FaultsByUser(t *testing.T) {
	playPOP3(t, POP3Options{}, strings.ReplaceAll(in, "u@v", "err-stat-first1@v")+
		"C: STAT\\r\\nSTAT\nS: -ERR as asked for by err-stat-first1\nS: +OK 3 60\nN:\n"+in+"C: STAT\nS: +OK 3 60")
}

func TestTop(t *testing.T) {
	f := func(wire string, n int, want string) {
		t.Helper()
		if got := string(top([]byte(wire), n)); got != want {
			t.Errorf("%d lines of %q: %q, want %q", n, wire, got, want)
		}
	}
	const wire = "a: b\r\nc: d\r\n\r\n1\r\n\r\n..3\r\n"
	f(wire, 0, "a: b\r\nc: d\r\n\r\n")
	f(wire, 2, "a: b\r\nc: d\r\n\r\n1\r\n\r\n")
	f(wire, 1<<40, wire)
	f("\r\n1\r\n\r\n3\r\n", 1, "\r\n1\r\n")
	f("a: b\r\n", 1, "a: b\r\n")
	f("", 1, "")
}

// The number of octets is never the true one, and the seed's.
func TestPOP3Session_Miscount(t *testing.T) {
	told := func(seed uint64) (all string) {
		rules := rulesOf(t, ParsePOP3Rule, "miscount-stat", "miscount-retr", "miscount-list")
		s := New(Options{Seed: seed, POP3: POP3Options{Messages: three, Rules: rules}}).POP3Session("c")
		out := cut(s, []byte("USER u\r\nPASS p\r\nSTAT\r\nRETR 1\r\nLIST 2\r\n"), 1000)
		for _, truth := range []string{"+OK 3 60\r\n", "+OK 32 octets\r\n", "+OK 2 16\r\n"} {
			if bytes.Contains(out, []byte(truth)) {
				t.Errorf("seed %d tells %q", seed, truth)
			}
		}
		return string(out)
	}
	if one := told(1); one != told(1) || one == told(2) {
		t.Errorf("seed 1: %q, again %q; seed 2: %q", one, told(1), told(2))
	}
}

func TestParsePOP3Rule_Failure(t *testing.T) {
	for _, text := range []string{"", "err", "tempfail-retr", "err-rcpt", "err-body", "inuse-end", "miscount-pass", "nodot-stat", "unstuffed-list", "554-retr", "err-handshake", "err-retr-p101"} {
		if r, err := ParsePOP3Rule(text); err == nil {
			t.Errorf("ParsePOP3Rule(%q) = %+v", text, r)
		}
	}
}

// What arrives can be read, by whatever domain, until its room is needed.
func TestPOP3_ReadsWhatArrived(t *testing.T) {
	s := New(Options{Keep: 100, POP3: POP3Options{Room: 60, Messages: three[:1]}})
	send := func(to, commands string) {
		t.Helper()
		out := cut(s.Session("c"), []byte("MAIL FROM:<>\r\nRCPT TO:<"+to+">\r\n"+commands), 1000)
		if !bytes.HasSuffix(out, []byte("250 2.0.0 taken\r\n")) {
			t.Fatalf("%q", out)
		}
	}
	f := func(user, commands, want string) {
		t.Helper()
		out := cut(s.POP3Session("c"), []byte("USER "+user+"\r\nPASS p\r\n"+commands), 1000)
		if got := strings.TrimPrefix(string(out), "+OK\r\n+OK welcome\r\n"); got != want {
			t.Errorf("%s reads %q, want %q", user, got, want)
		}
	}
	send("Ann@v.example", "DATA\r\na: b\r\n\r\n..x\r\n.\r\n")
	send("ann@w.example", "BDAT 12 LAST\r\na: b\r\n\r\n.y\r\n")
	f("ann", "LIST\r\nRETR 2\r\nRETR 3\r\n", "+OK\r\n1 32\r\n2 12\r\n3 12\r\n.\r\n+OK 12 octets\r\na: b\r\n\r\n..x\r\n.\r\n+OK 12 octets\r\na: b\r\n\r\n..y\r\n.\r\n")
	f("bob@v.example", "STAT\r\n", "+OK 1 32\r\n")
	f("ANN@x.example", "DELE 1\r\nDELE 2\r\nQUIT\r\n", "+OK\r\n+OK\r\n+OK bye\r\n")
	f("ann", "UIDL\r\n", "+OK\r\n1 a2\r\n.\r\n")
	send("bob@v.example", "DATA\r\n"+strings.Repeat("x", 50)+"\r\n.\r\n") // the older one gives way
	f("ann", "STAT\r\n", "+OK 0 0\r\n")
	f("bob", "UIDL\r\n", "+OK\r\n1 m1\r\n2 a3\r\n.\r\n")
	send("bob@v.example", "DATA\r\n"+strings.Repeat("x", 90)+"\r\n.\r\n") // more than there is room for
	f("bob", "STAT\r\n", "+OK 2 84\r\n")
	if c := s.Counts(); c.POP3.Sessions != 7 || c.POP3.Logins != 7 || c.POP3.Messages != 2 || c.POP3.Deleted != 2 || c.Messages != 4 {
		t.Errorf("%+v %+v", c, c.POP3)
	}
}

// However the octets of a session are cut, the answers are the same; and each
// octet that is told belongs to a line of an answer.
func FuzzPOP3Session(f *testing.F) {
	f.Add([]byte("USER u\r\nPASS p\r\nSTAT\r\nLIST\r\nRETR 1\r\nTOP 2 1\r\nDELE 1\r\nUIDL\r\nRETR 1\r\nQUIT\r\n"), uint8(1))
	f.Add([]byte("USER wait1s-body\r\nPASS p\r\nRETR 1\r\nRETR 2\r\n"), uint8(2))
	f.Add([]byte("AUTH PLAIN\r\nAHUAcA==\r\nRETR 3\r\nLIST 2\r\nRSET\r\n"), uint8(3))
	f.Add([]byte("NOOP "+strings.Repeat("x", 2*maxLine)+"\r\nQUIT\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		begin := func() machine {
			return New(Options{POP3: POP3Options{Messages: three, Rules: rulesOf(t, ParsePOP3Rule, "err-stat-every2", "wait1s-end-every3", "miscount-list-p50")}}).POP3Session("c")
		}
		whole, parts := cut(begin(), in, len(in)+1), cut(begin(), in, int(size)%7+1)
		if !bytes.Equal(whole, parts) {
			t.Errorf("whole:\n%s\ncut at each %d:\n%s", whole, size%7+1, parts)
		}
		if len(whole) > 0 && !bytes.HasPrefix(whole, []byte("+")) && !bytes.HasPrefix(whole, []byte("-ERR ")) {
			t.Errorf("no status: %q", whole)
		}
	})
}

// servePOP3 runs the POP3 of a sink on a socket of its own.
func servePOP3(t *testing.T, o Options) (*Sink, string) {
	t.Helper()
	s := New(o)
	return s, listen(t, s.ServePOP3)
}

// Real sessions: made messages come whole, also when they are larger than what is
// written at once, with waits in the middle; in the clear and in TLS, in step and
// pipelined.
func TestServePOP3(t *testing.T) {
	certificate, err := Certificate("sink.example", false)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 12
	mail := mailOf(t, messages, "uniform:300-700k")
	for _, security := range []bench.Security{bench.Plain, bench.Upgrade} {
		for _, mode := range []bench.Mode{bench.Step, bench.Pipelined} {
			s, addr := servePOP3(t, Options{TLS: certificate, POP3: POP3Options{
				Messages: mail, Rules: rulesOf(t, ParsePOP3Rule, "wait1ms-body-every3", "wait1ms-end-every5"),
			}})
			seen := 0
			fetch := bench.Fetch{
				Client: bench.Client{Addr: addr, User: "u", Password: "p", Security: security, TLS: &tls.Config{InsecureSkipVerify: true}},
				Mode:   mode, Delete: true, Each: func(number int, message []byte) error {
					n, err := bench.CheckMessage(message)
					if seen++; err == nil && n != number {
						err = fmt.Errorf("message %d says that it is %d", number, n)
					}
					return err
				},
			}
			report, err := fetch.Run(t.Context())
			if c := s.Counts().POP3; err != nil || report.Messages != messages || seen != messages || c.Deleted != messages {
				t.Fatalf("TLS %v, %v: %v (%v); the sink says %+v", security, mode, report, err, c)
			}
		}
	}
}

// A client sees each way to be cut off, in the clear and in TLS.
func TestServePOP3_Faults(t *testing.T) {
	certificate, err := Certificate("sink.example", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, security := range []bench.Security{bench.Plain, bench.Upgrade} {
		_, addr := servePOP3(t, Options{TLS: certificate, POP3: POP3Options{Messages: mailOf(t, 1, "100k")}})
		f := func(user string, want func(error) bool) {
			t.Helper()
			client := bench.Client{Addr: addr, User: user, Password: "p", Security: security, TLS: &tls.Config{InsecureSkipVerify: true}}
			c, err := client.POP3(bench.NewMeter())
			if err == nil {
				defer c.Close()
				_, err = c.Retr(1)
			}
			if !want(err) {
				t.Errorf("TLS %v, %s: %v", security, user, err)
			}
		}
		ends := func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
		says := func(text string) func(error) bool {
			return func(err error) bool {
				var refused bench.POP3Error
				return errors.As(err, &refused) && strings.HasPrefix(string(refused), text)
			}
		}
		f("close-body@v", ends)
		f("reset-body@v", ends)
		f("close-end@v", ends)
		f("inuse-pass@v", says("[IN-USE]"))
		f("err-retr@v", says("as asked for"))
		f("reset-retr@v", func(err error) bool { return err != nil })
		f("wait1ms-end@v", func(err error) bool { return err == nil })
	}
}

func mailOf(t *testing.T, n int, size string) [][]byte {
	t.Helper()
	mail, err := Made(n, sizes(t, size), 1)
	if err != nil {
		t.Fatal(err)
	}
	return mail
}

func rulesOf(t testing.TB, parse func(string) (*Rule, error), texts ...string) (all []*Rule) {
	t.Helper()
	for _, text := range texts {
		r, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}
