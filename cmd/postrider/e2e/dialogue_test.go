package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// typist is a person at nc: types a line, reads what comes.
type typist struct {
	t     *testing.T
	stdin io.WriteCloser
	lines chan string // what nc prints, a line each with its line end; closed at its end
}

// netcat starts nc on addr.
func netcat(t *testing.T, addr string) *typist {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nc", host, port)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &typist{t, stdin, make(chan string, 1000)}
	go func() {
		r := bufio.NewReader(stdout)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				p.lines <- line
			}
			if err != nil {
				close(p.lines)
				cmd.Wait()
				return
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
	})
	return p
}

// line is the next line, or "" when the connection has been closed.
func (p *typist) line() string {
	p.t.Helper()
	select {
	case line := <-p.lines:
		return line
	case <-time.After(patience):
		p.t.Fatal("nothing comes")
		return ""
	}
}

// types sends lines, as a terminal does to a server that speaks CRLF.
func (p *typist) types(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(p.stdin, line+"\r\n"); err != nil {
			p.t.Fatal(err)
		}
	}
}

// sees wants the next line to have a form.
func (p *typist) sees(form string) {
	p.t.Helper()
	if line := p.line(); !regexp.MustCompile(`^(?:` + form + `)\r\n$`).MatchString(line) {
		p.t.Errorf("reply %q hasn't the form %s", line, form)
	}
}

// The conversation of "How E-mail Works", typed line by line, gets the replies
// printed there, in form; POP3 hands the message out octet for octet apart from
// the trace fields; the text file of the account holds it.
func TestSeedDialogue(t *testing.T) {
	need(t, "nc")
	s := newServer(t, "jsmith")
	s.start()

	p := netcat(t, s.smtp[0])
	p.sees(`220 mx\.localhost .*`)
	p.types("helo test")
	p.sees(`250 mx\.localhost Hello test.* \[127\.0\.0\.1\], pleased to meet you`)
	p.types("mail from: test@sample.com")
	p.sees(`250 2\.1\.0 <?test@sample\.com>?\.\.\. Sender ok`)
	p.types("rcpt to: jsmith@localhost")
	p.sees(`250 2\.1\.5 jsmith\.\.\. Recipient ok`)
	p.types("data")
	p.sees(`354 Enter mail, end with "\." on a line by itself`)
	text := []string{"from: test@sample.com", "to:jsmith@localhost", "subject: testing", "", "John, I am testing...", "From: is a word that the file quotes"}
	p.types(text...)
	p.types(".")
	p.sees(`250 2\.0\.0 [0-9A-Za-z]+ Message accepted for delivery`)
	p.types("quit")
	p.sees(`221 2\.0\.0 mx\.localhost closing connection`)
	p.stdin.Close() // or nc stays; the server sees nothing of it
	if line := p.line(); line != "" {
		t.Errorf("after 221 comes %q, want the end of the connection", line)
	}

	message := readByHand(t, s.pop3[0])
	rest, wrong := withoutTrace([]byte(message))
	if want := strings.Join(text, "\r\n") + "\r\n"; wrong != "" || string(rest) != want {
		t.Errorf("POP3 hands out %q (%s), want %q after the trace fields", message, wrong, want)
	}
	if !strings.HasPrefix(message, "Return-Path: <test@sample.com>\r\n") {
		t.Errorf("the message begins with %.60q", message)
	}
	exported(t, s)
	s.terminate()
}

// readByHand reads message 1 of jsmith with nc and deletes nothing.
func readByHand(t *testing.T, addr string) string {
	t.Helper()
	p := netcat(t, addr)
	p.sees(`\+OK.*`)
	p.types("USER jsmith")
	p.sees(`\+OK.*`)
	p.types("PASS " + password("jsmith"))
	p.sees(`\+OK.*`)
	p.types("STAT")
	var count, octets, size int
	if line := p.line(); !scan(line, "+OK %d %d", &count, &octets) || count != 1 {
		t.Fatalf("STAT says %q", line)
	}
	p.types("LIST 1")
	if line := p.line(); !scan(line, "+OK 1 %d", &size) || size != octets {
		t.Errorf("LIST 1 says %q, STAT says %d", line, octets)
	}
	p.types("RETR 1")
	p.sees(`\+OK.*`)
	var message strings.Builder
	for line := p.line(); line != ".\r\n"; line = p.line() {
		message.WriteString(strings.TrimPrefix(line, "."))
	}
	if message.Len() != size {
		t.Errorf("RETR sends %d octets, LIST says %d", message.Len(), size)
	}
	p.types("QUIT")
	p.sees(`\+OK.*`)
	return message.String()
}

func scan(line, form string, into ...any) bool {
	n, err := fmt.Sscanf(line, form, into...)
	return err == nil && n == len(into)
}

// exported looks into JSMITH.TXT: one entry, found by splitting at "From:".
func exported(t *testing.T, s *server) {
	t.Helper()
	dir := t.TempDir()
	s.run("export", "jsmith", "--format", "text", "--out", dir)
	octets, err := os.ReadFile(filepath.Join(dir, "JSMITH.TXT"))
	if err != nil {
		t.Fatal(err)
	}
	file := strings.ReplaceAll(string(octets), "\r\n", "\n")
	entries := regexp.MustCompile(`(?m)^From:`).Split(file, -1)
	if len(entries) != 2 || entries[0] != "" {
		t.Fatalf("JSMITH.TXT split at From: gives %d parts, want an empty one and one entry:\n%s", len(entries), file)
	}
	form := regexp.MustCompile(`(?s)^ test@sample\.com\nTo: jsmith\n.*Subject: testing\n.*John, I am testing\.\.\.\n.*From: is a word`)
	if !form.MatchString(entries[1]) {
		t.Errorf("the entry hasn't the form From, To, Subject, text:\n%s", file)
	}
}
