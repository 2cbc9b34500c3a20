package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/bench"
)

// A postfix is a Postfix of the test's own, which takes mail for postfix.test into
// maildirs and sends all other mail to our server.
type postfix struct {
	t    *testing.T
	dir  string
	addr string // the address of its smtpd
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = postfix.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
local_recipient_maps =
alias_maps =
relayhost = [127.0.0.1]:%[2]d
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:%[3]s
virtual_gid_maps = static:%[4]s
message_size_limit = 500000
# What arrives is to be what was sent.
local_header_rewrite_clients =
message_drop_headers =
smtpd_peername_lookup = no
smtp_host_lookup = native
`

const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
showq unix n - n - - showq
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

// startPostfix writes a configuration, starts Postfix with it, and stops that one
// with the test. more are lines of main.cf. It takes root.
func startPostfix(t *testing.T, relayPort int, more ...string) *postfix {
	t.Helper()
	need(t, "postfix")
	if os.Getuid() != 0 {
		missing(t, "starting a Postfix takes root")
	}
	dir, err := os.MkdirTemp("", "postrider-postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := freePort(t)
	p := &postfix{t: t, dir: dir, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	uid := strings.TrimSpace(execute(t, nil, "id", "-u", "nobody"))
	gid := strings.TrimSpace(execute(t, nil, "id", "-g", "nobody"))
	for name, text := range map[string]string{
		"main.cf":   fmt.Sprintf(postfixMain, dir, relayPort, uid, gid) + strings.Join(more, "\n") + "\n",
		"master.cf": fmt.Sprintf(postfixMaster, port),
		"mailboxes": "relayed@postfix.test relayed/\ndirect@postfix.test direct/\nreader@postfix.test reader/\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"queue", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	execute(t, nil, "chown", "postfix", filepath.Join(dir, "data"))
	execute(t, nil, "chown", "nobody", filepath.Join(dir, "mail"))
	execute(t, nil, "postfix", "-c", dir, "check")
	p.startMaster()
	return p
}

// startMaster runs Postfix's master in the foreground, at the head of a process group
// that it ends on SIGTERM. The kernel sends that signal when the test program ends in
// any way, so that a time-out of the tests leaves no Postfix running.
func (p *postfix) startMaster() {
	t := p.t
	t.Helper()
	daemons := strings.TrimSpace(execute(t, nil, "postconf", "-c", p.dir, "-h", "daemon_directory"))
	cmd := exec.Command(filepath.Join(daemons, "master"), "-d", "-c", p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of Postfix's log:\n%s", p.log(8000))
		}
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait() // its status is that of a process ended by a signal
	})
	eventually(t, "Postfix accepts connections", func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// freePort finds a port that is free now.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		// Below the ports that the kernel gives to others (ip_local_port_range).
		port := 10000 + int(lastPort.Add(1)+uint32(os.Getpid()))%20000
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port of 1,000 is free")
	return 0
}

// lastPort counts the ports that freePort has tried: none is given twice.
var lastPort atomic.Uint32

// log is the end of what Postfix has logged.
func (p *postfix) log(most int) string {
	octets, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(octets[max(0, len(octets)-most):])
}

// maildrop is the messages in a maildir, with CRLF.
func (p *postfix) maildrop(name string) (messages [][]byte) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, "mail", name, "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		messages = append(messages, bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n")))
	}
	return messages
}

// texts are the messages of a maildrop without what Postfix put before them and
// without the Received field after that, sorted.
func (p *postfix) texts(name string) (texts []string) {
	p.t.Helper()
	for _, m := range p.maildrop(name) {
		rest, received := m, 0
		for received < 2 {
			field, next := cutField(rest)
			switch field {
			case "received":
				received++
			case "return-path", "x-original-to", "delivered-to":
			default:
				p.t.Fatalf("the trace fields of Postfix and of the host before it are wrong in\n%.1000s", m)
			}
			rest = next
		}
		texts = append(texts, string(rest))
	}
	slices.Sort(texts)
	return texts
}

// With a real Postfix as the next hop: real mail arrives as if its client had sent
// it there itself, and what Postfix offers is used.
func TestRelayToPostfix(t *testing.T) {
	t.Parallel()
	heavy(t)
	ours := freePort(t)
	p := startPostfix(t, ours)
	s := newServer(t, "writer")
	s.configure(fmt.Sprintf("[relay]\nretry = [\"1s\"]\ncomplete_header = false\ntransports = [\"postfix.test=[127.0.0.1]:%s\"]\n", portOf(t, p.addr)))
	s.args = append(s.args, "--smtp", fmt.Sprintf("127.0.0.1:%d", ours))
	s.start()
	t.Run("success", func(t *testing.T) { postfixNotifies(t, s, p) })
	t.Run("refusals", func(t *testing.T) { postfixRefuses(t, s) })
	t.Run("corpus", func(t *testing.T) { postfixGetsCorpus(t, s, p) })
	s.terminate()
}

// postfixNotifies: Postfix offers DSN, so Postfix notifies of success.
func postfixNotifies(t *testing.T, s *server, p *postfix) {
	s.submit(submission{
		from: "writer@localhost> ENVID=QQ314159 RET=HDRS BODY=8BITMIME",
		to:   []string{"reader@postfix.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@postfix.test"}, text: original,
	})
	var raw []byte
	eventually(t, "Postfix's notification is there", func() bool {
		for _, m := range s.fetch("writer", false) {
			if bytes.Contains(m, []byte("Reporting-MTA: dns; postfix.test")) {
				raw = m
			}
		}
		return raw != nil
	})
	for _, field := range []string{
		"Original-Envelope-Id: QQ314159", "Original-Recipient: rfc822;first@postfix.test", "Final-Recipient: rfc822; reader@postfix.test",
		"Action: delivered",
	} {
		if !bytes.Contains(raw, []byte("\r\n"+field)) {
			t.Errorf("Postfix's notification has no %q:\n%s", field, raw)
		}
	}
	if n := len(s.fetch("writer", true)); n != 1 {
		t.Errorf("%d notifications of one success", n)
	}
	if ms := p.maildrop("reader"); len(ms) != 1 || !bytes.HasSuffix(ms[0], []byte("First line.\r\n.leading dot\r\nLast line.\r\n")) {
		t.Errorf("the maildir holds %q", ms)
	}
}

// postfixRefuses: an unknown user, and a message over the limit of Postfix's SIZE: not
// an octet of it is sent.
func postfixRefuses(t *testing.T, s *server) {
	s.submit(submission{from: "writer@localhost", to: []string{"nobody@postfix.test", "reader@postfix.test"}})
	_, about := s.notice("writer", "nobody@postfix.test", "failed")
	if about.Get("Status") != "5.1.1" || !strings.Contains(about.Get("Diagnostic-Code"), "User unknown in virtual mailbox table") {
		t.Errorf("the bounce says %v", about)
	}
	s.fetch("writer", true)
	s.submit(submission{from: "writer@localhost", to: []string{"reader@postfix.test"}, text: original + strings.Repeat("much too much\r\n", 50_000)})
	_, about = s.notice("writer", "reader@postfix.test", "failed")
	if about.Get("Status") != "5.3.4" || !strings.Contains(about.Get("Diagnostic-Code"), "exceeds size limit 500000") {
		t.Errorf("the bounce says %v", about)
	}
	s.fetch("writer", true)
}

// properHeader is fields, folded or not, and an empty line.
var properHeader = regexp.MustCompile(`^(?:[!-9;-~]+[ \t]*:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+\r\n`)

// postfixGetsCorpus sends the sample mail on both ways.
func postfixGetsCorpus(t *testing.T, s *server, p *postfix) {
	var mail []sample
	for _, m := range samples(t, 300) {
		if len(m.message) < 400_000 {
			mail = append(mail, m)
		}
	}
	direct, err := bench.DialSMTP(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	relayed, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer relayed.Close()
	begin := time.Now()
	for _, m := range mail {
		wire := bench.Stuff(m.message)
		if reply, err := relayed.Deliver("writer@localhost", []string{"relayed@postfix.test"}, wire); err != nil || reply.Code != 250 {
			t.Fatalf("%s: %v %v", m.name, reply, err)
		}
		// In the place of the field that our server adds.
		wire = append([]byte("Received: from the client itself\r\n"), wire...)
		if reply, err := direct.Deliver("writer@localhost", []string{"direct@postfix.test"}, wire); err != nil || reply.Code != 250 {
			t.Fatalf("%s: Postfix says %v %v", m.name, reply, err)
		}
	}
	s.emptied()
	eventually(t, "Postfix has put all into its maildirs", func() bool {
		return len(p.maildrop("relayed")) >= len(mail) && len(p.maildrop("direct")) >= len(mail)
	})
	got, want := p.texts("relayed"), p.texts("direct")
	if !slices.Equal(got, want) {
		t.Errorf("what the relay brought is not what the clients brought")
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("first difference:\n%.1000q\n%.1000q", got[i], want[i])
				break
			}
		}
	}
	same := 0
	for _, m := range mail {
		_, found := slices.BinarySearch(got, string(m.message))
		if found {
			same++
		}
		// Postfix makes a header for a message without one.
		if !found && properHeader.Match(m.message) {
			t.Errorf("%s did not come octet for octet", m.name)
		}
	}
	t.Logf("%d messages relayed in %.1f s; %d are in Postfix's maildir octet for octet, %d as Postfix rewrites them for any client",
		len(got), time.Since(begin).Seconds(), same, len(got)-same)
	if same < len(mail)/2 {
		t.Errorf("that is too few of %d", len(mail))
	}
	if n := len(s.fetch("writer", false)); n != 0 {
		t.Errorf("%d notifications", n)
	}
}
