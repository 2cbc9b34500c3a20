package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// moving is mail in Maildirs that another POP3 server gives out, and a mpop for each of its readers.
type moving struct {
	t       *testing.T
	dir     string
	readers []string
	sent    map[string]int // messages, by reader
}

// deliver puts messages into the Maildir of each reader, as a delivery agent does.
func (m *moving) deliver(n int) {
	m.t.Helper()
	for _, reader := range m.readers {
		for range n {
			m.sent[reader]++
			i := m.sent[reader]
			text := fmt.Sprintf("From: ann@far.example\nTo: %s@localhost\nSubject: message %d\n\n.a line with a dot\n%s", reader, i, strings.Repeat("words\n", i*i%400))
			name := filepath.Join(m.dir, "mail", reader, "new", fmt.Sprintf("%d.M%dP7.a-host-with-a-name.far.example,S=%d", 1_700_000_000+i, i*31%100, len(text)))
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	execute(m.t, nil, "chown", "-R", "nobody:nogroup", filepath.Join(m.dir, "mail"))
}

// fetches has each mpop fetch what it does not know, and wants n messages.
func (m *moving) fetches(what, addr string, n int) {
	m.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, reader := range m.readers {
		box := filepath.Join(m.t.TempDir(), "box")
		for _, folder := range []string{"new", "cur", "tmp"} {
			if err := os.MkdirAll(filepath.Join(box, folder), 0o700); err != nil {
				m.t.Fatal(err)
			}
		}
		config := fmt.Sprintf("account default\nhost %s\nport %s\nuser %s\npassword %s\ntls off\nauth plain\nkeep on\nonly_new on\nuidls_file %s\ndelivery maildir %s\n",
			host, port, reader, password(reader), filepath.Join(m.dir, "uidls-"+reader), box)
		execute(m.t, nil, "mpop", "--quiet", "--file="+write(m.t, "mpoprc", []byte(config)))
		got, err := os.ReadDir(filepath.Join(box, "new"))
		if err != nil || len(got) != n {
			m.t.Errorf("%s: mpop of %s fetches %d messages, want %d (%v)", what, reader, len(got), n, err)
		}
	}
}

// newMoving makes a Maildir with mail for each reader.
func newMoving(t *testing.T, readers ...string) *moving {
	t.Helper()
	need(t, "mpop")
	if os.Getuid() != 0 {
		missing(t, "starting a POP3 server that reads the Maildirs of others takes root")
	}
	dir, err := os.MkdirTemp("", "postrider-moving")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &moving{t: t, dir: dir, readers: readers, sent: make(map[string]int)}
	for _, reader := range readers {
		for _, folder := range []string{"new", "cur", "tmp"} {
			if err := os.MkdirAll(filepath.Join(dir, "mail", reader, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.deliver(20)
	return m
}

// pulls has s pull a reader's mail from another server, and wants its report.
func (m *moving) pulls(s *server, from, reader, want string) {
	m.t.Helper()
	cmd := exec.Command(binary, "pull", reader, "--from", from, "--security", "none", "--user", reader, "--password-stdin", "--data", s.data)
	cmd.Stdin = strings.NewReader(password(reader) + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
		m.t.Errorf("pull of %s: %v, %s", reader, err, out)
	}
}

// startMoving starts a Dovecot with mail that its readers have fetched.
func startMoving(t *testing.T, readers ...string) (*moving, *dovecot) {
	t.Helper()
	m := newMoving(t, readers...)
	d := startDovecot(t, newAuthority(t), filepath.Join(m.dir, "mail"))
	var passwd strings.Builder
	for _, reader := range readers {
		fmt.Fprintf(&passwd, "%s:{PLAIN}%s\n", reader, password(reader))
	}
	if err := os.WriteFile(filepath.Join(m.dir, "passwd"), []byte(passwd.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	m.fetches("Dovecot at first", d.pop3, 20)
	m.deliver(3)
	m.fetches("Dovecot later", d.pop3, 3)
	return m, d
}

// After a move from Dovecot mpop fetches what it has not seen, and nothing twice: of a tree of
// Maildirs, also in two steps, and of mail that was pulled.
func TestNothingIsFetchedTwiceAfterDovecot(t *testing.T) {
	t.Parallel()
	heavy(t)
	m, d := startMoving(t, "reader", "ann", "bob")
	by := newServer(t, m.readers...)
	by.start()
	for _, reader := range m.readers {
		m.pulls(by, d.pop3, reader, reader+"@localhost: 23 messages,")
		m.pulls(by, d.pop3, reader, reader+"@localhost: 23 messages were here before")
	}
	m.fetches("postrider after pull", by.pop3[0], 0)

	m.deliver(2) // which Dovecot has not seen yet
	s := newServer(t, m.readers...)
	s.start()
	tree := []string{"import-tree", filepath.Join(m.dir, "mail"), "--pattern", "%n", "--journal", filepath.Join(m.dir, "journal")}
	if out := s.run(tree...); !strings.Contains(out, "3 Maildirs, 75 messages,") {
		t.Errorf("import-tree: %s", out)
	}
	m.fetches("Dovecot after the first step", d.pop3, 2)
	m.deliver(4) // which Dovecot never sees
	if out := s.run(tree...); !strings.Contains(out, "0 Maildirs, 0 messages,") || !strings.Contains(out, "3 Maildirs were imported before") {
		t.Errorf("import-tree for the second time: %s", out)
	}
	if out := s.run(append(tree, "--again")...); !strings.Contains(out, "3 Maildirs, 12 messages,") || !strings.Contains(out, "6 messages of the maildrop get the unique-ids") {
		t.Errorf("import-tree --again: %s", out)
	}
	m.fetches("postrider", s.pop3[0], 4)
	m.fetches("postrider again", s.pop3[0], 0)
	for i, text := range s.fetch("ann", false) {
		if want := fmt.Sprintf("Subject: message %d\r\n\r\n.a line with a dot\r\n", i+1); !strings.Contains(string(text), want) {
			t.Fatalf("message %d of ann is not message %d: %.200q", i+1, i+1, text)
		}
	}
	out := filepath.Join(m.dir, "exported")
	s.run("export", "--all", "--format", "maildir", "--out", out)
	for _, reader := range m.readers {
		maildir := filepath.Join(m.dir, "mail", reader)
		if err := os.Rename(maildir, maildir+"-before"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(out, reader+".maildir"), maildir); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, nil, "chown", "-R", "nobody:nogroup", filepath.Join(m.dir, "mail"))
	m.fetches("Dovecot with the mail of an export", d.pop3, 0)
	if out := s.run("check"); !strings.Contains(out, "87 messages") || !strings.Contains(out, ": 0 faults") {
		t.Errorf("check: %s", out)
	}
}
