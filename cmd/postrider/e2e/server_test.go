package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/bench"
)

// patience bounds every wait for the program, so that a hang becomes a failure.
// It is no limit on speed.
const patience = 60 * time.Second

// server is one data folder and the process that serves it, if one does.
type server struct {
	t      *testing.T
	data   string
	args   []string // arguments of serve, after the common ones
	nofile int      // its limit of open files; 0: the test's
	binary string   // the program; "": that of all tests

	cmd   *exec.Cmd
	smtp  []string // addresses that accept SMTP
	pop3  []string // addresses that accept POP3
	smtps []string // addresses that accept SMTP within TLS, if configured
	pop3s []string // addresses that accept POP3 within TLS, if configured
	http  []string // addresses of HTTP, if configured
	https []string // addresses of HTTPS, if configured

	submission []string // addresses of submission, if configured

	started time.Duration // from the start of the process to its ready line
	exited  chan error    // the outcome of Wait, once
	log     *tail
}

// newServer makes a data folder with accounts; the password of NAME is password(NAME).
// The process is started by start and ended with the test.
func newServer(t *testing.T, accounts ...string) *server {
	t.Helper()
	s := &server{t: t, data: filepath.Join(t.TempDir(), "data")}
	s.importAccounts(accounts)
	return s
}

func (s *server) importAccounts(accounts []string) {
	s.t.Helper()
	var lines strings.Builder
	for _, name := range accounts {
		fmt.Fprintf(&lines, "%s:%s\n", name, password(name))
	}
	file := filepath.Join(s.t.TempDir(), "accounts")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.run("account", "import", "--create", "--scram", file)
}

// password is the password of every account that the tests make.
func password(name string) string { return "secret-of-" + name }

// configure writes a configuration file and has serve read it.
func (s *server) configure(toml string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "postrider.toml")
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.args = append(s.args, "--config", file)
}

// run runs an administrative command on the server's data, wants it to succeed
// and returns what it printed.
func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(binary, append(args, "--data", s.data)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("postrider %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts the process and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"serve", "--data", s.data, "--hostname", "mx.localhost", "--domain", "localhost",
		"--smtp", "127.0.0.1:0", "--pop3", "127.0.0.1:0"}, s.args...)
	s.cmd = exec.Command(cmp.Or(s.binary, binary), args...)
	if s.nofile > 0 {
		s.cmd = limitFiles(s.nofile, args)
	}
	// The process must not outlive a test binary that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.log = &tail{}
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.kill)
	ready := make(chan string, 1)
	s.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
				break
			}
		}
		io.Copy(io.Discard, stdout)
		exited <- cmd.Wait()
	}(s.cmd, s.exited)
	select {
	case line := <-ready:
		s.started = time.Since(begin)
		s.smtp, s.pop3 = addresses(line, "smtp"), addresses(line, "pop3")
		s.http, s.https = addresses(line, "http"), addresses(line, "https")
		s.smtps, s.pop3s = addresses(line, "smtps"), addresses(line, "pop3s")
		s.submission = addresses(line, "submission")
	case err := <-s.exited:
		s.cmd = nil
		s.t.Fatalf("serve ended before it was ready: %v\n%s", err, s.log)
	case <-time.After(patience):
		s.t.Fatalf("serve isn't ready after %s\n%s", patience, s.log)
	}
	if len(s.smtp) == 0 || len(s.pop3) == 0 {
		s.t.Fatalf("the ready line lacks an address: smtp %v, pop3 %v", s.smtp, s.pop3)
	}
}

// addresses finds "name=ADDR,ADDR" in the ready line.
func addresses(line, name string) []string {
	for _, word := range strings.Fields(line) {
		if list, ok := strings.CutPrefix(word, name+"="); ok {
			return strings.Split(list, ",")
		}
	}
	return nil
}

// kill is kill -9, and waits until the process is gone. Without one it does nothing.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("the end of the server's log:\n%s", s.log)
	}
}

// terminate is SIGTERM. The process has to end by itself with status 0.
func (s *server) terminate() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.waitEnd()
}

// waitEnd waits for the process to end by itself with status 0.
func (s *server) waitEnd() {
	s.t.Helper()
	select {
	case err := <-s.exited:
		s.cmd = nil
		if err != nil {
			s.t.Errorf("serve ended with %v after SIGTERM\n%s", err, s.log)
		}
	case <-time.After(patience):
		s.t.Fatalf("serve still runs %s after SIGTERM\n%s", patience, s.log)
	}
}

// usage is what the process has used so far.
func (s *server) usage() bench.Usage {
	s.t.Helper()
	u, err := bench.ReadUsage(s.cmd.Process.Pid)
	if err != nil {
		s.t.Fatalf("the server is gone: %v\n%s", err, s.log)
	}
	return u
}

// check has the program verify its whole store.
func (s *server) check() {
	s.t.Helper()
	s.run("check")
}

// send delivers messages, given with plain dots, in one session and wants a 250
// for each.
func (s *server) send(to string, messages ...[]byte) {
	s.t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	for i, message := range messages {
		reply, err := c.Deliver("sender@client.example", []string{to + "@localhost"}, bench.Stuff(message))
		if err != nil || reply.Code != 250 {
			s.t.Fatalf("message %d: %v %v", i, reply, err)
		}
	}
}

// fetch reads all messages of an account, and deletes them if told to.
func (s *server) fetch(account string, remove bool) [][]byte {
	s.t.Helper()
	var messages [][]byte
	_, err := bench.Fetch{
		Addr: s.pop3[0], User: account, Password: password(account), Mode: bench.Pipelined, Delete: remove,
		Each: func(_ int, message []byte) error {
			messages = append(messages, bytes.Clone(message))
			return nil
		},
	}.Run(s.t.Context())
	if err != nil {
		s.t.Fatalf("fetching %s: %v", account, err)
	}
	return messages
}

// tail keeps the last 16 KiB written to it.
type tail struct {
	mu  sync.Mutex // guards end
	end []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, p...)
	if excess := len(l.end) - 16<<10; excess > 0 {
		l.end = append(l.end[:0], l.end[excess:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.end)
}
