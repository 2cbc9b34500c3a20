package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mailClient is "postrider mail" with a file of accounts of its own.
type mailClient struct {
	t    *testing.T
	file string
}

func newMailClient(t *testing.T) *mailClient {
	return &mailClient{t, filepath.Join(t.TempDir(), "config", "mail.toml")}
}

// account adds an account; how are the flags for its servers.
func (c *mailClient) account(name, user string, how ...string) {
	c.t.Helper()
	args := append([]string{"account", "add", name, "--from", "Wörter <" + user + "@localhost>", "--user", user, "--password-stdin"}, how...)
	c.must(password(user), args...)
}

// run runs a command and returns what it printed and its exit code.
func (c *mailClient) run(stdin string, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(append([]string{"mail"}, args...), "--mail-config", c.file)...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("postrider mail %q: %v", args, err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// must wants a command to succeed.
func (c *mailClient) must(stdin string, args ...string) string {
	c.t.Helper()
	out, said, code := c.run(stdin, args...)
	if code != 0 {
		c.t.Fatalf("postrider mail %q: exit code %d\n%s%s", args, code, out, said)
	}
	return out
}

// listed is a message in "mail list --json", as far as the tests read it.
type listed struct {
	Number      int      `json:"number"`
	UID         string   `json:"uid"`
	From        []string `json:"from"`
	Subject     string   `json:"subject"`
	Files       bool     `json:"files"`
	Text        string   `json:"text"`
	Attachments []saved  `json:"attachments"`
}

// saved is an attachment in "mail save --json".
type saved struct {
	Message int    `json:"message"`
	Name    string `json:"name"`
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	Damaged string `json:"damaged"`
}

func (c *mailClient) list(args ...string) (lines []listed) {
	c.t.Helper()
	c.decode(c.must("", append([]string{"list", "--json"}, args...)...), &lines)
	return lines
}

func (c *mailClient) decode(text string, to any) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		c.t.Fatalf("%v in\n%.2000s", err, text)
	}
}

// converse plays a day with the mail client: what it does has to come out the same with
// any servers. account is one that was added; to is its address.
func (c *mailClient) converse(account, to string) {
	t, dir := c.t, c.t.TempDir()
	dots := "line\r\n.\r\n..\r\nFrom me\r\n" + strings.Repeat("\x00\xff", 5000)
	file := write(t, "dög 犬.bin", []byte(dots))
	with := func(args ...string) []string { return append(args, "--account", account) }
	c.must("Grüße\n.\nEnde\n", with("send", "--to", to, "--subject", "größer", "--attach", file, "--attach", file)...)
	c.must("old style\n", with("send", "--to", "Me <"+to+">", "--subject", "second", "--uuencode", "--attach", file)...)
	c.must("plain\n", with("send", "--bcc", to, "--subject", "third")...)
	var lines []listed
	eventually(t, "three messages are there", func() bool { lines = c.list("--account", account); return len(lines) == 3 })
	number := make(map[string]int)
	for _, l := range lines {
		number[l.Subject] = l.Number
		if files := l.Subject == "größer"; l.Files != files || len(l.From) != 1 || !strings.HasPrefix(l.From[0], "Wörter <") {
			t.Errorf("listed: %+v", l)
		}
	}
	if len(number) != 3 || number["größer"] == 0 {
		t.Fatalf("listed: %+v", lines)
	}
	if table := c.must("", with("list")...); !strings.Contains(table, "  Wörter ") || strings.Count(table, "\n") != 3 {
		t.Errorf("the table:\n%s", table)
	}
	first, second, third := fmt.Sprint(number["größer"]), fmt.Sprint(number["second"]), fmt.Sprint(number["third"])
	if text := c.must("", with("read", first)...); !strings.Contains(text, "\nSubject: größer\n\nGrüße\n.\nEnde\n") || strings.Count(text, "[dög 犬.bin: ") != 2 {
		t.Errorf("read:\n%s", text)
	}
	if text := c.must("", with("read", third)...); strings.Contains(text, "To:") || !strings.HasSuffix(text, "\n\nplain\n") {
		t.Errorf("read:\n%s", text)
	}
	c.must("", with("save", first, second, "--out", dir)...)
	for _, name := range []string{"dög 犬.bin", "dög 犬-2.bin", "dög 犬-3.bin"} {
		if octets, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(octets) != dots {
			t.Errorf("saved: %d octets, %v", len(octets), err)
		}
	}
	if _, _, code := c.run("", with("delete", "9")...); code != 65 {
		t.Errorf("deleting what is not there: exit code %d", code)
	}
	c.must("", with("delete", second)...)
	c.fetchAll(with, dir)
}

// fetchAll fetches the two messages that are left, in each format, and deletes them.
func (c *mailClient) fetchAll(with func(...string) []string, dir string) {
	t := c.t
	for _, format := range []string{"text", "mbox", "maildir", "eml"} {
		args := with("fetch", "--format", format, "--out", filepath.Join(dir, "fetched"))
		c.must("", args...)
		if _, said, code := c.run("", args...); code != 73 || !strings.Contains(said, "--overwrite") {
			t.Errorf("fetching over what was fetched: exit code %d, %s", code, said)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "fetched", "*.maildir", "new", "*")); len(files) != 2 {
		t.Errorf("the maildir holds %q", files)
	}
	if texts, _ := filepath.Glob(filepath.Join(dir, "fetched", "*.TXT")); len(texts) != 1 {
		t.Errorf("the texts are %q", texts)
	} else if text, _ := os.ReadFile(texts[0]); !bytes.Contains(text, []byte("Subject: größer\nGrüße\n.\nEnde\n")) || !bytes.Contains(text, []byte("\nbegin 644 dög 犬.bin\n")) {
		t.Errorf("the text:\n%.500s", text)
	}
	if n := len(c.list(with()...)); n != 2 {
		t.Errorf("%d messages after fetching without --delete", n)
	}
	c.must("", with("fetch", "--format", "mbox", "--delete", "--out", filepath.Join(dir, "last"))...)
	boxes, _ := filepath.Glob(filepath.Join(dir, "last", "*.mbox"))
	if len(boxes) != 1 {
		t.Fatalf("mboxes: %q", boxes)
	}
	if box, err := os.ReadFile(boxes[0]); err != nil || bytes.Count(box, []byte("\nSubject: ")) != 2 {
		t.Errorf("the mbox: %.300q, %v", box, err)
	}
	if n := len(c.list(with()...)); n != 0 {
		t.Errorf("%d messages after fetching with --delete", n)
	}
}

// tries wants the servers of an account to be what was said, without mail.
func (c *mailClient) tries(account, pop3, smtp string) {
	c.t.Helper()
	out := c.must("", "account", "try", account)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], ": "+pop3+", 0 messages") || !strings.HasSuffix(lines[1], ": "+smtp) {
		c.t.Errorf("account try %s: %q, want %q and %q", account, out, pop3, smtp)
	}
}

// The mail client against our own server, by each way of TLS.
func TestMailClient(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := newServer(t, "writer")
	s.writeCertificate(a)
	s.configure(fmt.Sprintf("[tls]\ncertificates = [%q]\n", s.certificate()))
	s.args = append(s.args, "--pop3s", "127.0.0.1:0", "--smtps", "127.0.0.1:0")
	s.start()
	c := newMailClient(t)
	c.account("clear", "writer", "--pop3", s.pop3[0], "--pop3-security", "none", "--smtp", s.smtp[0], "--smtp-security", "none")
	c.account("starttls", "writer", "--pop3", s.pop3[0], "--smtp", s.smtp[0], "--ca-file", a.file)
	c.account("tls", "writer", "--pop3", s.pop3s[0], "--pop3-security", "tls", "--smtp", s.smtps[0], "--smtp-security", "tls", "--any-certificate")
	for _, name := range []string{"clear", "starttls", "tls"} {
		c.converse(name, "writer@localhost")
	}
	c.tries("clear", "clear text, SCRAM-SHA-256", "clear text, SCRAM-SHA-256")
	c.tries("starttls", "TLS 1.3, SCRAM-SHA-256-PLUS", "TLS 1.3, SCRAM-SHA-256-PLUS")
	c.tries("tls", "TLS 1.3, SCRAM-SHA-256-PLUS", "TLS 1.3, SCRAM-SHA-256-PLUS")
	t.Run("hostile", func(t *testing.T) { mailHostile(t, s, c) })
	t.Run("refusals", func(t *testing.T) { mailRefusals(t, s, c) })
	s.terminate()
}

// A message that would like to command the terminal, to write into other folders and to
// pass for whole.
const hostileMessage = "From: =?utf-8?q?=1B]0;owned=07?= <x@y>\r\nSubject: =?utf-8?b?G1syShtbMTsxSA==?= \x1b[31m=?utf-8?q?=E2=80=AE?=\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\x1b[2Jclear \x9b2J \xc2\x9b2J\x07\x08\r\n" +
	"--b\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><p>two &lt; three &#27;[2J</p>\r\n" +
	"--b\r\nContent-Type: application/x-\x1b[2J; name=\"../../etc/\x1b[2Jpass\"\r\nContent-Transfer-Encoding: base64\r\n\r\nd2hvbGU=\r\n" +
	"--b\r\nContent-Disposition: attachment; filename=half.bin\r\nContent-Transfer-Encoding: base64\r\n\r\naGFsZ!!!!\r\n--b--\r\n"

// mailHostile: nothing of a message reaches the terminal but text, and damage is
// reported.
func mailHostile(t *testing.T, s *server, c *mailClient) {
	s.send("writer", []byte(hostileMessage))
	dir := t.TempDir()
	var whole strings.Builder
	for _, args := range [][]string{{"list"}, {"list", "--full"}, {"read", "1"}, {"list", "--json"}, {"read", "1", "--json"}, {"save", "1", "--out", dir}} {
		out, said, code := c.run("", append(args, "-a", "clear")...)
		if want := map[bool]int{true: 65}[args[0] == "save"]; code != want {
			t.Errorf("%q: exit code %d, want %d: %s", args, code, want, said)
		}
		if at := strings.IndexFunc(out+said, func(r rune) bool {
			return r != '\n' && r != '\t' && (r < ' ' || 0x7f <= r && r < 0xa0 || r == '\u202e')
		}); at >= 0 {
			t.Errorf("%q: a control character at %d of %q", args, at, out+said)
		}
		whole.WriteString(out)
	}
	for _, want := range []string{"clear ", "two < three", "half.bin"} {
		if !strings.Contains(whole.String(), want) {
			t.Errorf("%q is not in\n%s", want, whole.String())
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("saved: %v %v", files, err)
	}
	for _, f := range files {
		octets, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		if want := map[bool]string{true: "hal", false: "whole"}[f.Name() == "half.bin"]; !strings.HasPrefix(string(octets), want) {
			t.Errorf("%q holds %q", f.Name(), octets)
		}
	}
	c.must("", "delete", "1", "-a", "clear")
}

// mailRefusals: what must not go well doesn't, and reports why.
func mailRefusals(t *testing.T, s *server, c *mailClient) {
	refused := func(want int, reason, stdin string, args ...string) {
		t.Helper()
		out, said, code := c.run(stdin, args...)
		if code != want || !strings.Contains(said, reason) {
			t.Errorf("mail %q: exit code %d, want %d and %q\n%s%s", args, code, want, reason, out, said)
		}
	}
	c.account("distrusting", "writer", "--pop3", s.pop3[0], "--smtp", s.smtp[0])
	refused(69, "not trusted", "", "list", "-a", "distrusting")
	refused(69, "not trusted", "x", "send", "-a", "distrusting", "--to", "writer@localhost")
	c.must("wrong", "account", "add", "mistaken", "--from", "writer@localhost", "--user", "writer", "--password-stdin",
		"--pop3", s.pop3[0], "--smtp", s.smtp[0], "--any-certificate")
	refused(77, "login was refused", "", "list", "-a", "mistaken")
	refused(77, "login was refused", "x", "send", "-a", "mistaken", "--to", "writer@localhost")
	refused(77, "login was refused", "", "account", "try", "mistaken")
	refused(69, "not sent to nobody@localhost: 550", "x", "send", "-a", "tls", "--to", "nobody@localhost,writer@localhost")
	if lines := c.list("-a", "tls"); len(lines) != 1 {
		t.Errorf("the other recipient has %d messages", len(lines))
	}
	refused(66, "no such file", "x", "send", "-a", "tls", "--to", "writer@localhost", "--attach", "not-there")
	refused(64, "no recipients", "x", "send", "-a", "tls")
	refused(64, "another folder", "", "fetch", "-a", "tls", "--out", t.TempDir(), "--delete", "--overwrite")
	if err := os.Chmod(c.file, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(78, "chmod 600", "", "list", "-a", "tls")
}
