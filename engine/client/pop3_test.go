package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// play plays a POP3 server by a script: "C: line" is what it expects, "S: text" what
// it sends, with \r\n after it unless the text ends with \c. At its end the server hangs up.
// The address is returned; the test fails when the client sends something else.
func play(t *testing.T, script string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- nil // no connection came
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		done <- follow(c, script)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func follow(c net.Conn, script string) error {
	in := bufio.NewReader(c)
	for step := range strings.Lines(strings.TrimLeft(script, "\n")) {
		step = strings.TrimSuffix(step, "\n")
		who, text, _ := strings.Cut(step, ": ")
		if who == "S" {
			text = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(text)
			if cut, ok := strings.CutSuffix(text, `\c`); ok {
				text = cut
			} else {
				text += "\r\n"
			}
			_, _ = io.WriteString(c, text) // a client that has heard enough may be gone
			continue
		}
		line, err := in.ReadString('\n')
		if err != nil || line != text+"\r\n" {
			return fmt.Errorf("the client says %q (%v), the script wants %q", line, err, text)
		}
	}
	return nil
}

const (
	greeted  = "S: +OK hello\nC: CAPA\nS: -ERR what?\nC: USER joe\nS: +OK\nC: PASS secret\nS: +OK\n"
	greeted2 = "S: +OK hello\nC: CAPA\nS: +OK\nS: TOP\nS: PIPELINING\nS: UIDL\nS: .\nC: USER joe\nS: +OK\nC: PASS secret\nS: +OK\n"
)

func open(t *testing.T, script string) *POP3 {
	t.Helper()
	p, err := OpenPOP3(t.Context(), &Host{Addr: play(t, script), Security: Clear, User: "joe", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Abandon)
	return p
}

// An old server without CAPA, UIDL and TOP still gives its mail (RFC 1939 section 7).
func TestPOP3_old(t *testing.T) {
	p := open(t, greeted+"C: LIST\nS: +OK\nS: 1 20\nS: 3 30 octets\nS: .\nC: UIDL\nS: -ERR no\n"+
		"C: TOP 1 0\nS: -ERR no\nC: RETR 1\nS: +OK\nS: Subject: one\nS: \nS: ..\nS: .\nC: RETR 3\nS: -ERR gone\nC: DELE 3\nS: +OK\nC: QUIT\nS: +OK")
	items, err := p.List()
	if err != nil || len(items) != 2 || items[1] != (Item{3, 30, ""}) {
		t.Fatalf("%v %v", items, err)
	}
	var heads []string
	err = p.Heads(items, func(it Item, head io.Reader, err error) error {
		if err != nil {
			heads = append(heads, err.Error())
			return nil
		}
		text, err := io.ReadAll(head)
		heads = append(heads, string(text))
		return err
	})
	if err != nil || fmt.Sprintf("%q", heads) != `["Subject: one\r\n\r\n.\r\n" "the host replied to RETR: -ERR gone"]` {
		t.Errorf("%q %v", heads, err)
	}
	if err := p.Delete(3); err != nil {
		t.Error(err)
	}
	if err := p.Quit(); err != nil {
		t.Error(err)
	}
}

// With PIPELINING the TOPs come in groups, and a head that is not read is skipped
// (RFC 2449 section 6.6).
func TestPOP3_pipelined(t *testing.T) {
	const n = 150
	script := greeted2 + "C: LIST\nS: +OK\n"
	for i := range n {
		script += fmt.Sprintf("S: %d 100\n", i+1)
	}
	script += "S: .\nC: UIDL\nS: +OK\n"
	for i := range n {
		script += fmt.Sprintf("S: %d u%d\n", i+1, i+1)
	}
	script += "S: .\n"
	// The client may not wait for a reply before it has sent a whole group.
	for i := range 64 {
		script += fmt.Sprintf("C: TOP %d 0\n", i+1)
	}
	for i := range n {
		if i >= 64 {
			script += fmt.Sprintf("C: TOP %d 0\n", i+1)
		}
		script += fmt.Sprintf("S: +OK\nS: Subject: %d\nS: \nS: .\n", i+1)
	}
	p := open(t, script+"C: QUIT\nS: +OK")
	items, err := p.List()
	if err != nil || len(items) != n || items[99].UID != "u100" {
		t.Fatalf("%d items, %v", len(items), err)
	}
	seen := 0
	err = p.Heads(items, func(it Item, head io.Reader, err error) error {
		seen++
		if it.Number%3 == 0 {
			return err
		}
		text, _ := io.ReadAll(head)
		if string(text) != fmt.Sprintf("Subject: %d\r\n\r\n", it.Number) {
			t.Errorf("%d: %q", it.Number, text)
		}
		return err
	})
	if err != nil || seen != n {
		t.Errorf("%d heads, %v", seen, err)
	}
	if err := p.Quit(); err != nil {
		t.Error(err)
	}
}

// What a message may look like on the wire, and what must not pass for its end.
func TestPOP3_bodies(t *testing.T) {
	f := func(sent, want, fault string) {
		t.Helper()
		p := open(t, greeted+"C: RETR 1\nS: +OK\n"+sent)
		body, err := p.Retrieve(1, 100)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if string(text) != want || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %q %v, want %q %q", sent, text, err, want, fault)
		}
	}
	f("S: .", "", "")
	f("S: a\nS: ..b\nS: .\nS: +OK what follows", "a\r\n.b\r\n", "")
	f(`S: a\n.\nb`+"\nS: .", "a\r\n.\r\nb\r\n", "") // a line end that is none ends nothing
	f(`S: a\rb\0`+"\nS: .", "ab\x00\r\n", "")
	f("S: a", "a\r\n", "broke in the middle")
	f(`S: a\r\n.\c`, "a\r\n", "broke in the middle")
}

// A server that sends without end is stopped.
func TestPOP3_flood(t *testing.T) {
	p := open(t, greeted+"C: RETR 1\nS: +OK\n"+strings.Repeat("S: "+strings.Repeat("x", 998)+"\n", 1100)+"S: .")
	body, err := p.Retrieve(1, 100)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, body)
	if err == nil || !strings.Contains(err.Error(), "far more") || n > 1<<20+200 {
		t.Errorf("%d octets, %v", n, err)
	}
}

// A server is believed nothing that it has not shown, and its text never reaches an
// error as it came.
func TestPOP3_refuses(t *testing.T) {
	f := func(script string, s Security, want string) {
		t.Helper()
		p, err := OpenPOP3(t.Context(), &Host{Addr: play(t, script), Security: s, User: "joe", Password: "secret"})
		if err == nil {
			p.Abandon()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\r\n") {
			t.Errorf("%q: %q, want %q", script, err, want)
		}
	}
	f("S: -ERR go away \x1b[2J", Clear, "-ERR go away \ufffd[2J")
	f("S: SSH-2.0", Clear, "not a POP3 reply")
	f("S: "+strings.Repeat("x", 10_000), Clear, "without an end")
	f("S: +OK\nC: CAPA\nS: +OK\nS: .\nC: STLS\nS: -ERR no", StartTLS, "not available")
	f("S: +OK\nC: CAPA\nS: +OK\nS: .\nC: STLS\n"+`S: +OK\r\n+OK injected`, StartTLS, "before the TLS handshake")
	f("S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .\nC: AUTH PLAIN AGpvZQBzZWNyZXQ=\nS: -ERR wrong", Clear, "login was refused")
	f("S: +OK\nC: CAPA\nS: +OK\nS: SASL LOGIN\nS: .\nC: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: am9l\nS: + UGFzc3dvcmQ6\nC: c2VjcmV0\nS: + bW9yZQ==\nC: *", Clear, "more challenges than the mechanism has")
}

// With SCRAM an +OK counts for nothing before the server has shown that it knows the
// password (RFC 5802 section 3).
func TestPOP3_unproven(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		_, _ = io.WriteString(c, "+OK\r\n")
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(c, "+OK\r\nSASL SCRAM-SHA-256 PLAIN\r\n.\r\n")
		_, _ = in.ReadString('\n')
		_, _ = io.WriteString(c, "+OK come in\r\n")
		_, _ = io.Copy(io.Discard, in)
	}()
	_, err = OpenPOP3(t.Context(), &Host{Addr: l.Addr().String(), Security: Clear, User: "joe", Password: "secret"})
	if err == nil || !strings.Contains(err.Error(), "without proving") {
		t.Errorf("%v", err)
	}
}

// The end of the context ends a session that waits.
func TestPOP3_cancelled(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			cancel()
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	if _, err := OpenPOP3(ctx, &Host{Addr: l.Addr().String(), Security: Clear}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
