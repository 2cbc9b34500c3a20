package sink

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/bench"
)

// play plays a dialogue: C: what the client sends, S: a reply line, E: what the
// driver is to do after it, T: time that goes by, N: a new session.
func play(t *testing.T, o Options, dialogue string) {
	t.Helper()
	s := New(o)
	converse(t, func() machine { return s.Session("192.0.2.1") }, dialogue)
}

// converse plays a dialogue with sessions that begin makes.
func converse(t *testing.T, begin func() machine, dialogue string) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var session machine
	var got []string // what hasn't been matched
	saw := func(out []byte, step Step) {
		for line := range strings.Lines(string(out)) {
			got = append(got, strings.TrimSpace("S: "+line))
		}
		if step.Wait > 0 {
			got = append(got, "E: wait "+step.Wait.String())
		}
		if step.Effect != None {
			got = append(got, "E: "+[]string{"", "close", "reset", "silence", "starttls"}[step.Effect])
		}
	}
	greet := func() {
		session = begin()
		saw(session.Greet(now, nil))
	}
	greet()
	for number, line := range strings.Split(strings.TrimSpace(dialogue), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rest := strings.TrimPrefix(line[2:], " ")
		switch line[:2] {
		case "C:":
			in := []byte(strings.ReplaceAll(rest, `\r\n`, "\r\n") + "\r\n")
			for more := true; more; {
				out, step := session.Feed(now, in, nil)
				saw(out, step)
				in = in[step.Consumed:]
				more = step.Effect == None && (step.More || step.Consumed > 0 && len(in) > 0)
			}
		case "T:":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
		case "N:":
			greet()
		default:
			if len(got) == 0 || got[0] != line {
				t.Fatalf("line %d: want %q, got %q", number+1, line, got)
			}
			got = got[1:]
		}
	}
	if len(got) > 0 {
		t.Errorf("more than expected: %q", got)
	}
}

func rules(t *testing.T, texts ...string) []*Rule {
	t.Helper()
	return rulesOf(t, ParseRule, texts...)
}

// taken is a message that nothing is wrong with, to the address that %s is.
const taken = `
	C: MAIL FROM:<a@b.example>
	S: 250 2.1.0 ok
	C: RCPT TO:<%s>
	S: 250 2.1.5 ok
	C: DATA
	S: 354 go on
	C: x\r\n..\r\n.
	S: 250 2.0.0 taken`

func TestSession_TakesMail(t *testing.T) {
	play(t, Options{}, `
		S: 220 sink.example ESMTP
		C: EHLO c
		S: 250-sink.example
		S: 250-PIPELINING
		S: 250-8BITMIME
		S: 250-SMTPUTF8
		S: 250-ENHANCEDSTATUSCODES
		S: 250-AUTH PLAIN
		S: 250-CHUNKING
		S: 250 DSN`+fmt.Sprintf(taken, "u@v.example")+`
		C: MAIL FROM:<>\r\nRCPT TO:<u@v.example>\r\nBDAT 3\r\nabcBDAT 3 LAST\r\n.
		S: 250 2.1.0 ok
		S: 250 2.1.5 ok
		S: 250 2.0.0 go on
		S: 250 2.0.0 taken`)
	play(t, Options{}, `
		S: 220 sink.example ESMTP
		C: HELO c
		S: 250 sink.example
		C: RCPT TO:<u@v.example>
		S: 503 5.5.1 MAIL first, then RCPT TO:<path>
		C: DATA
		S: 503 5.5.1 no recipients
		C: STARTTLS
		S: 502 5.5.1 no TLS here
		C: NONSENSE
		S: 502 5.5.1 unknown command
		C: QUIT
		S: 221 2.0.0 bye
		E: close`)
}

// Each way to fail, by rule.
func TestSession_Faults(t *testing.T) {
	f := func(rule, dialogue string) {
		t.Helper()
		play(t, Options{Rules: rules(t, rule)}, dialogue)
	}
	f("busy-greeting", "S: 421 4.3.2 as asked for by busy-greeting\nE: close")
	f("silence-greeting", "E: silence")
	f("reset-helo", "S: 220 sink.example ESMTP\nC: HELO c\nE: reset")
	f("full-mail", "S: 220 sink.example ESMTP\nC: MAIL FROM:<a@b.example>\nS: 452 4.3.1 as asked for by full-mail")
	f("554-rcpt", "S: 220 sink.example ESMTP\nC: MAIL FROM:<>\nS: 250 2.1.0 ok\nC: RCPT TO:<u@v.example>\nS: 554 5.7.1 as asked for by 554-rcpt")
	toData := "S: 220 sink.example ESMTP\nC: MAIL FROM:<>\nS: 250 2.1.0 ok\nC: RCPT TO:<u@v.example>\nS: 250 2.1.5 ok\nC: DATA\n"
	f("close-data", toData+"E: close")
	f("tempfail-dot", toData+"S: 354 go on\nC: x\\r\\n.\nS: 451 4.3.0 as asked for by tempfail-dot\nC: DATA\nS: 503 5.5.1 no recipients")
	f("reset-dot", toData+"S: 354 go on\nC: x\\r\\n.\nE: reset")
	f("silence-dot", toData+"S: 354 go on\nC: x\\r\\n.\nE: silence")
	f("wait2s-dot", toData+"S: 354 go on\nC: x\\r\\n.\nS: 250 2.0.0 taken\nE: wait 2s")
	f("close-quit", "S: 220 sink.example ESMTP\nC: QUIT\nE: close")
	f("tempfail-mail-first1", "S: 220 sink.example ESMTP\nC: MAIL FROM:<>\nS: 451 4.3.0 as asked for by tempfail-mail-first1\nC: MAIL FROM:<>\nS: 250 2.1.0 ok")
	f("tempfail-mail-every2", "S: 220 sink.example ESMTP\nC: MAIL FROM:<>\nS: 250 2.1.0 ok\nC: RSET\nS: 250 2.0.0 ok\nC: MAIL FROM:<>\nS: 451 4.3.0 as asked for by tempfail-mail-every2")
}

// A recipient's local part is a rule, for its own mail only.
func TestSession_FaultsByRecipient(t *testing.T) {
	play(t, Options{}, `
		S: 220 sink.example ESMTP`+fmt.Sprintf(taken, "tempfail-rcpt-after1@any.example")+`
		C: MAIL FROM:<>
		S: 250 2.1.0 ok
		C: RCPT TO:<tempfail-rcpt-after1@any.example>
		S: 451 4.3.0 as asked for by tempfail-rcpt-after1
		C: RCPT TO:<mary-ann@any.example>
		S: 250 2.1.5 ok
		C: RCPT TO:<permfail-dot@any.example>
		S: 250 2.1.5 ok
		C: DATA
		S: 354 go on
		C: .
		S: 550 5.1.1 as asked for by permfail-dot`+fmt.Sprintf(taken, "mary-ann@any.example"))
	play(t, Options{Deaf: true}, `S: 220 sink.example ESMTP`+fmt.Sprintf(taken, "permfail-rcpt@any.example"))
}

func TestSession_Greylist(t *testing.T) {
	again := "C: MAIL FROM:<a@b.example>\nS: 250 2.1.0 ok\nC: RCPT TO:<u@v.example>\n"
	play(t, Options{Greylist: 5 * time.Minute}, "S: 220 sink.example ESMTP\n"+
		again+"S: 451 4.3.0 greylisted, come back later\nC: RSET\nS: 250 2.0.0 ok\nT: 4m59s\n"+
		again+"S: 451 4.3.0 greylisted, come back later\nC: RSET\nS: 250 2.0.0 ok\nT: 1s\n"+
		again+"S: 250 2.1.5 ok")
}

// Two at once, then one in two seconds; 421 ends the session, and a new one of the
// same client meets the same bucket.
func TestSession_Limit(t *testing.T) {
	once := "C: MAIL FROM:<>\nS: 250 2.1.0 ok\nC: RSET\nS: 250 2.0.0 ok\n"
	play(t, Options{Limit: 0.5, Burst: 2, LimitCode: 421}, "S: 220 sink.example ESMTP\n"+once+once+
		"C: MAIL FROM:<>\nS: 421 4.3.2 too many messages, come back later\nE: close\nN:\nS: 220 sink.example ESMTP\n"+
		"T: 2s\n"+once+"C: MAIL FROM:<>\nS: 421 4.3.2 too many messages, come back later\nE: close")
	play(t, Options{Limit: 1, Burst: 1, LimitCode: 454}, "S: 220 sink.example ESMTP\n"+once+
		"C: MAIL FROM:<>\nS: 454 4.7.0 too many messages, come back later\nT: 1s\n"+once)
}

// The same seed meets the same faults, another one others.
func TestSession_ChanceIsOfTheSeed(t *testing.T) {
	faults := func(seed uint64) (played string) {
		s := New(Options{Seed: seed, Rules: rules(t, "tempfail-mail-p50")})
		for range 8 {
			session := s.Session("192.0.2.1")
			for range 8 {
				out, _ := session.Feed(time.Time{}, []byte("MAIL FROM:<>\r\nRSET\r\n"), nil)
				played += string(out[0])
			}
		}
		return played
	}
	one := faults(1)
	if one != faults(1) || one == faults(2) || !strings.Contains(one, "4") || !strings.Contains(one, "2") {
		t.Errorf("seed 1: %s, again %s; seed 2: %s", one, faults(1), faults(2))
	}
}

func TestParseRule_Failure(t *testing.T) {
	for _, text := range []string{"", "tempfail", "nonsense-rcpt", "tempfail-nowhere", "200-rcpt", "600-rcpt", "waitx-dot", "wait2h-dot", "tempfail-rcpt-after", "tempfail-rcpt-p101", "tempfail-rcpt-often3"} {
		if r, err := ParseRule(text); err == nil {
			t.Errorf("ParseRule(%q) = %+v", text, r)
		}
	}
	for _, text := range []string{"", "20", "uniform:1s", "uniform:2s-1s", "lognormal:1s", "lognormal:1s,0.5", "normal:1s,2", "-1s"} {
		if w, err := ParseWait(text); err == nil {
			t.Errorf("ParseWait(%q) = %+v", text, w)
		}
	}
}

// However the octets of a session are cut, the replies are the same, and so is
// what arrives.
func FuzzSession(f *testing.F) {
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<u@v>\r\nDATA\r\n.\r\r\n.x\r\n\r\n.\r\r\n.\r\nQUIT\r\n"), uint8(1))
	f.Add([]byte("NOOP "+strings.Repeat("x", 2*maxLine)+"\r\nQUIT\r\n"), uint8(1)) // a line too long is told so in one piece, too
	f.Add([]byte("MAIL FROM:<>\r\nRCPT TO:<u@v>\r\nBDAT 4\r\nab\r\nBDAT 0 LAST\r\nRCPT TO:<tempfail-rcpt@v>\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		whole, all := arrivals(in, len(in)+1)
		parts, some := arrivals(in, int(cut)%7+1)
		if !bytes.Equal(whole, parts) || fmt.Sprint(all) != fmt.Sprint(some) {
			t.Errorf("whole:\n%s%v\ncut at each %d:\n%s%v", whole, all, cut%7+1, parts, some)
		}
		for _, a := range all {
			if a.Octets != len(a.Message) || bytes.Contains(append([]byte("\r\n"), a.Message...), []byte("\r\n.\r\n")) && bytes.Contains(in, []byte("DATA")) && !bytes.Contains(bytes.ToUpper(in), []byte("BDAT")) {
				t.Errorf("arrived with %d octets: %q", a.Octets, a.Message)
			}
		}
	})
}

func arrivals(in []byte, size int) (out []byte, arrived []Arrival) {
	s := New(Options{Keep: 1 << 20, Arrived: func(a Arrival) { arrived = append(arrived, a) }}).Session("c")
	return cut(s, in, size), arrived
}

// cut feeds a session in pieces, as a driver does, and returns all that it says.
func cut(s machine, in []byte, size int) (out []byte) {
	var unread []byte
	for len(in) > 0 {
		n := min(size, len(in))
		unread = append(unread, in[:n]...)
		in = in[n:]
		for {
			var step Step
			out, step = s.Feed(time.Time{}, unread, out)
			unread = unread[step.Consumed:]
			if step.Effect != None {
				return out
			}
			if step.Wait == 0 && !step.More {
				break
			}
		}
	}
	return out
}

// serve runs a sink on a socket of its own.
func serve(t *testing.T, o Options) (*Sink, string) {
	t.Helper()
	s := New(o)
	return s, listen(t, s.Serve)
}

// listen serves on a port of its own until the test is over.
func listen(t *testing.T, serve func(context.Context, *net.TCPListener, int) error) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ln, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- serve(ctx, ln, 2) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// Real sessions: each message of a load arrives once and whole, in the clear and in
// TLS, with waits that stop a pipelined group in the middle.
func TestServe(t *testing.T) {
	certificate, err := Certificate("sink.example", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, security := range []bench.Security{bench.Plain, bench.Upgrade} {
		for _, mode := range []bench.Mode{bench.Step, bench.Pipelined} {
			for _, bdat := range []bool{false, true} {
				ledger := bench.NewLedger("run")
				var mu sync.Mutex
				var mail [][]byte
				s, addr := serve(t, Options{
					TLS: certificate, Keep: 1 << 20, Rules: rules(t, "tempfail-rcpt-every10", "wait1ms-mail-every7", "wait1ms-dot-every5"),
					Arrived: func(a Arrival) {
						mu.Lock()
						defer mu.Unlock()
						mail = append(mail, a.Message)
					},
				})
				corpus := bench.NewCorpus("run", sizes(t, "uniform:300-100k"), 9, 1)
				load := bench.Load{
					Client:   bench.Client{Addr: addr, Security: security, TLS: &tls.Config{InsecureSkipVerify: true}},
					Sessions: 4, Messages: 100, PerConnection: 20, Mode: mode, BDAT: bdat, From: "a@b.example",
					To: func(int) []string { return []string{"u@v.example"} }, Wire: corpus.Wire, Head: corpus.Head,
				}
				load.Accepted = func(n int, reply bench.Reply) { ledger.Accept(corpus.ID(n), corpus.Digest(n), load.To(n), reply) }
				report, err := load.Run(t.Context())
				if counts := s.Counts(); err != nil || report.Messages != 90 || counts.Messages != 90 || counts.Refused[451] != 10 {
					t.Fatalf("TLS %v, %v, BDAT %v: %v (%v); the sink says %+v", security, mode, bdat, report, err, counts)
				}
				mu.Lock() // sockets order this after all arrivals, but not for the race detector
				for _, message := range mail {
					if !bdat {
						message = bench.Unstuff(message)
					}
					ledger.Found(message)
				}
				mu.Unlock()
				if a := ledger.Audit(); a.Err() != nil || a.Found != 90 || a.Repeated+a.Unbooked+a.Strangers > 0 {
					t.Fatalf("TLS %v, %v, BDAT %v: %s", security, mode, bdat, a)
				}
			}
		}
	}
}

func sizes(t *testing.T, text string) bench.Sizes {
	t.Helper()
	s, err := bench.ParseSizes(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A reset after the dot breaks the session and isn't a message; the client that
// keeps going delivers the rest.
func TestServe_Reset(t *testing.T) {
	s, addr := serve(t, Options{Rules: rules(t, "reset-dot-every4", "close-mail-every9")})
	load := bench.Load{
		Addr: addr, Sessions: 1, Messages: 20, From: "a@b.example", KeepGoing: true,
		To: func(int) []string { return []string{"u@v.example"} }, Wire: func(n int) []byte { return bench.Message(n, 1000) },
	}
	report, err := load.Run(t.Context())
	counts := s.Counts()
	if err != nil || int64(report.Messages) != counts.Messages || counts.Broken == 0 || report.Messages+int(counts.Broken) != 20 {
		t.Errorf("%v (%v); the sink says %+v", report, err, counts)
	}
}

// A wrong certificate is one that a client which looks refuses.
func TestCertificate_Wrong(t *testing.T) {
	certificate, err := Certificate("localhost", true)
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, Options{TLS: certificate})
	client := bench.Client{Addr: addr, Security: bench.Upgrade, TLS: &tls.Config{ServerName: "localhost"}}
	var verification *tls.CertificateVerificationError
	if _, err := client.SMTP(bench.NewMeter()); !errors.As(err, &verification) {
		t.Errorf("a certificate that is wrong in all ways: %v", err)
	}
}

// Faults come within TLS as in the clear, and between STARTTLS and the handshake.
func TestServe_FaultsInTLS(t *testing.T) {
	certificate, err := Certificate("sink.example", false)
	if err != nil {
		t.Fatal(err)
	}
	f := func(rule string, want func(report bench.Report, err error) bool) {
		t.Helper()
		s, addr := serve(t, Options{TLS: certificate, Rules: rules(t, rule)})
		load := bench.Load{
			Client:   bench.Client{Addr: addr, Security: bench.Upgrade, TLS: &tls.Config{InsecureSkipVerify: true}},
			Sessions: 1, Messages: 2, From: "a@b.example",
			To: func(int) []string { return []string{"u@v.example"} }, Wire: func(n int) []byte { return bench.Message(n, 1000) },
		}
		report, err := load.Run(t.Context())
		if !want(report, err) || s.Counts().Faults[rule] == 0 {
			t.Errorf("%s: %v (%v); the sink says %+v", rule, report, err, s.Counts())
		}
	}
	refusal := func(text string) func(bench.Report, error) bool {
		return func(r bench.Report, err error) bool { return err == nil && r.Messages == 1 && r.Refused[text] == 1 }
	}
	fails := func(text string) func(bench.Report, error) bool {
		return func(r bench.Report, err error) bool { return err != nil && strings.Contains(err.Error(), text) }
	}
	f("tempfail-rcpt-after1", refusal("451 4.3.0 as asked for by tempfail-rcpt-after1"))
	f("full-dot-first1", refusal("452 4.3.1 as asked for by full-dot-first1"))
	f("wait1ms-dot", func(r bench.Report, err error) bool { return err == nil && r.Messages == 2 })
	f("close-dot-after1", fails("EOF"))
	f("reset-mail", fails("reading a reply"))
	f("notls-starttls", fails("454 4.7.0"))
	f("close-starttls", fails("EOF"))
	f("close-handshake", fails("TLS with"))
	f("reset-handshake", fails("TLS with"))
	f("wait1ms-handshake", func(r bench.Report, err error) bool { return err == nil && r.Messages == 2 })
}

// A server that answers 220 and never does the handshake is given up by the client.
func TestServe_Mute(t *testing.T) {
	certificate, err := Certificate("sink.example", false)
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, Options{TLS: certificate, Rules: rules(t, "silence-handshake")})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := bufio.NewReader(conn)
	fmt.Fprint(conn, "STARTTLS\r\n")
	for _, want := range []string{"220 sink.example ESMTP\r\n", "220 2.0.0 go on\r\n"} {
		if line, err := said.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q (%v), want %q", line, err, want)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	fmt.Fprint(conn, "\x16\x03\x01\x00\x05hello")
	var timeout net.Error
	if octet, err := said.ReadByte(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%d (%v) after a handshake began", octet, err)
	}
}
