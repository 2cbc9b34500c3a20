package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// otherVersion builds the program with another version number.
func otherVersion(t *testing.T, version string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "postrider")
	build := exec.Command("go", "build", "-ldflags", "-X postrider/engine/server.Version="+version, "-o", path, "postrider/cmd/postrider")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// ownProgram gives the server a program of its own, so that a test can replace it.
func (s *server) ownProgram() {
	s.t.Helper()
	text, err := os.ReadFile(binary)
	if err != nil {
		s.t.Fatal(err)
	}
	s.binary = filepath.Join(s.t.TempDir(), "postrider")
	if err := os.WriteFile(s.binary, text, 0o755); err != nil { //nolint:gosec // a program
		s.t.Fatal(err)
	}
}

// install puts another program in the place of the server's, as dpkg does.
func (s *server) install(text []byte) {
	s.t.Helper()
	next := s.binary + ".dpkg-new"
	if err := os.WriteFile(next, text, 0o755); err != nil { //nolint:gosec // a program
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.binary); err != nil {
		s.t.Fatal(err)
	}
}

// script installs a shell script.
func (s *server) script(lines string) { s.install([]byte("#!/bin/sh\n" + lines + "\n")) }

// serves wants the server to take a message and to give it out.
func (s *server) serves() {
	s.t.Helper()
	s.send("reader", []byte("Subject: x\r\n\r\nx\r\n"))
	if got := s.fetch("reader", true); len(got) != 1 {
		s.t.Errorf("%d messages came out, want 1", len(got))
	}
}

// refuses wants a restart to be refused, and the server to go on.
func (s *server) refuses(code int, want string) {
	s.t.Helper()
	before := s.cmd.Process.Pid
	r, got, said := s.restart()
	if got != code || r.Done != nil || !strings.Contains(r.Error, want) || !strings.Contains(said, "nothing is restarted, the server goes on as it is: ") {
		s.t.Errorf("exit code %d, want %d and %q: %+v %s", got, code, want, r, said)
	}
	if s.cmd.Process.Pid != before {
		s.t.Error("the process has changed")
	}
	s.serves()
}

// A restart starts the version that was installed meanwhile. A program that is gone, that is no
// program, that is another one, or that refuses the configuration, is not started.
func TestRestartToAnotherVersion(t *testing.T) {
	heavy(t)
	s := newServer(t, "reader")
	s.ownProgram()
	profile := filepath.Join(t.TempDir(), "allocs")
	s.args = append(s.args, "--profile-allocs", profile)
	s.start()
	next, err := os.ReadFile(otherVersion(t, "9.9-test"))
	if err != nil {
		t.Fatal(err)
	}
	s.install(next)
	r := s.mustRestart()
	if r.Before == r.Version || r.Version != "9.9-test" {
		t.Errorf("%+v", r)
	}
	if out := s.run("status"); !strings.HasPrefix(out, "postrider 9.9-test, process ") {
		t.Errorf("%s", out)
	}
	s.serves()
	for text, want := range map[string]string{
		"exit 3":                    "can't start: exit status 3",
		"echo no room >&2; exit 69": "can't start: no room",
		"echo hello":                "is it another program?",
		"exec cat":                  "is it another program?",
	} {
		s.script(text)
		s.refuses(78, want)
	}
	s.install([]byte("\x00\x01 no program"))
	s.refuses(78, "exec format error")
	if err := os.Chmod(s.binary, 0o600); err != nil {
		t.Fatal(err)
	}
	s.refuses(78, "is no program: its mode is -rw-------")
	if err := os.Remove(s.binary); err != nil {
		t.Fatal(err)
	}
	s.refuses(78, s.binary+" is not there any more: install it again")
	s.install(next)
	s.mustRestart()
	s.serves()
	s.cmd.Process.Signal(syscall.SIGHUP)
	s.logs("reload: no key has changed")
	s.terminate()
	for _, file := range []string{profile, profile + ".2", profile + ".3"} {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("the profile of each process: %v", err)
		}
	}
}

// A program that can start, as it says, and does not: then the one from before runs again, at
// the same addresses, if the new one gets so far as to notice or if it can't be executed.
func TestRestartThatFails(t *testing.T) {
	heavy(t)
	s := newServer(t, "reader")
	s.ownProgram()
	s.start()
	at := s.smtp[0]
	first := `case "$*" in *--check-start*) `
	for _, text := range []string{
		first + `exec ` + binary + ` "$@" ;; esac; exec ` + binary + ` "$@" --pop3 192.0.2.1:110`,
		first + binary + ` "$@"; printf '\000\001' > $0.new; chmod 755 $0.new; mv $0.new $0; exit 0;; esac`,
	} {
		s.script(text)
		r, code, said := s.restart()
		if code != 69 || r.Done == nil || r.Done.Fault == "" || !strings.Contains(said, "runs again") {
			t.Errorf("exit code %d, %+v, %s", code, r, said)
		}
		t.Log(said)
		if out := s.run("status"); !strings.Contains(out, at) {
			t.Errorf("%s", out)
		}
		s.serves()
	}
	// One that ends without a word can't be helped: the command says that no server runs.
	s.script(first + `exec ` + binary + ` "$@" ;; esac; exit 1`)
	r, code, said := s.restart()
	if code != 69 || r.Done != nil || !strings.Contains(said, "no server runs any more: process ") {
		t.Errorf("exit code %d, %+v, %s", code, r, said)
	}
	<-s.exited
	s.cmd = nil
	s.ownProgram()
	s.start()
	s.check()
	s.terminate()
}

// held is a session of SMTP in the middle of a message.
func (s *server) held() *dialogue {
	s.t.Helper()
	d, err := begin(s.smtp[0], "220")
	if err == nil {
		err = d.say("EHLO client.test", "250", "MAIL FROM:<a@client.example>", "250", "RCPT TO:<reader@localhost>", "250", "DATA", "354")
	}
	if err == nil {
		_, err = io.WriteString(d, "Subject: x\r\n\r\n")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// While a message is on its way the restart waits for it, and new sessions are served; another
// restart and a reload are refused.
func TestRestartWaitsForAMessage(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	s.start()
	d := s.held()
	defer d.Close()
	idle, err := begin(s.pop3[0], "+OK")
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var first sync.WaitGroup
	first.Go(func() { s.mustRestart() })
	if _, err := idle.want("-ERR [SYS/TEMP] server shutting down"); err != nil {
		t.Error(err)
	}
	s.refuses(75, "a restart is under way already")
	out, _ := exec.Command(binary, "reload", "--data", s.data).CombinedOutput()
	if !strings.Contains(string(out), "a restart is under way already") {
		t.Errorf("%s", out)
	}
	if err := d.say("the end\r\n.", "250"); err != nil {
		t.Error(err)
	}
	if _, err := d.want("421"); err != nil {
		t.Error(err)
	}
	first.Wait()
	if got := s.fetch("reader", true); len(got) != 1 {
		t.Errorf("%d messages came out, want 1", len(got))
	}
	s.serves()
	s.terminate()
}

// A message that has begun after the order and that does not end is cut off: it has no 250, and
// is not there. A client that connects while it is waited for waits too, and is not refused.
func TestRestartCutsOff(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	s.start()
	first := s.held()
	defer first.Close()
	result := make(chan restarted, 1)
	go func() {
		r, _, _ := s.restart()
		result <- r
	}()
	s.logs("restart: the open sessions end")
	second := s.held()
	defer second.Close()
	if err := first.say("the end\r\n.", "250"); err != nil {
		t.Error(err)
	}
	if _, err := first.want("421"); err != nil {
		t.Error(err)
	}
	// Each of these connects before, in, or after the gap.
	var late sync.WaitGroup
	for i := range 40 {
		time.Sleep(time.Duration(i) * time.Millisecond)
		late.Go(func() {
			d, err := arrive(s.pop3[0], false, "+OK")
			if err != nil {
				t.Error(err)
				return
			}
			d.Close()
		})
	}
	if reply, err := second.want("250"); err == nil {
		t.Errorf("a message that did not end has the reply %q", reply)
	}
	late.Wait()
	if r := <-result; r.Done == nil || r.Done.Cut != 1 || r.Done.Fault != "" {
		t.Errorf("%+v", r)
	}
	if got := s.fetch("reader", true); len(got) != 1 {
		t.Errorf("%d messages came out, want 1", len(got))
	}
	s.serves()
	s.terminate()
}

// Two restarts at once: one of them is refused, or comes after the other. The server runs.
func TestRestartTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	s.start()
	var both sync.WaitGroup
	var codes [4]int
	for i := range codes {
		both.Go(func() { _, codes[i], _ = s.restart() })
	}
	both.Wait()
	good := 0
	for _, code := range codes {
		if code == 0 {
			good++
		} else if code != 75 {
			t.Errorf("exit codes %v", codes)
		}
	}
	if good == 0 {
		t.Errorf("exit codes %v", codes)
	}
	s.serves()
	s.terminate()
}

// A server that ends is not restarted, and a restart that waits for sessions gives way to the
// end.
func TestRestartAndEnd(t *testing.T) {
	t.Parallel()
	for _, ordered := range []bool{false, true} {
		s := newServer(t, "reader")
		s.start()
		d := s.held()
		defer d.Close()
		result := make(chan string, 1)
		if ordered {
			go func() {
				_, code, said := s.restart()
				result <- fmt.Sprint(code, " ", said)
			}()
			s.logs("restart: the open sessions end")
		}
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.logs("stopping: sessions in the middle")
		if !ordered {
			if r, code, _ := s.restart(); code != 75 || !strings.Contains(r.Error, "the server is about to end") {
				t.Errorf("exit code %d, %+v", code, r)
			}
		}
		if err := d.say("the end\r\n.", "250"); err != nil {
			t.Error(err)
		}
		s.waitEnd()
		if ordered {
			if said := <-result; !strings.HasPrefix(said, "69 ") || !strings.Contains(said, "no server runs any more") {
				t.Error(said)
			}
		}
	}
}

// A file that is broken stops a restart, as it does a reload. One that changes addresses does
// not: addresses that are gone are closed, new ones are opened, and addresses that stay refuse nothing.
func TestRestartReadsTheFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	file := filepath.Join(t.TempDir(), "postrider.toml")
	s.args = append(s.args, "--config", file)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a, b := freePort(t), freePort(t)
	listens := func(port int, greeting string) {
		t.Helper()
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
		if err != nil && greeting == "" {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := newDialogue(c).want(greeting); err != nil || greeting == "" {
			t.Errorf("port %d: %v, want %q", port, err, greeting)
		}
	}
	write(fmt.Sprintf("[submission]\nlisten = [\"127.0.0.1:%d\"]\n", a))
	s.start()
	smtp, pop3 := s.smtp[0], s.pop3[0]
	for text, want := range map[string]string{
		"[smtp]\nmax_hops = 1\n":                                 "postrider.toml:2: smtp.max_hops: 1 is out of bounds",
		"[tls]\ncertificates = [\"/nowhere /nowhere\"]\n":        "/nowhere",
		"[relay]\npasswords = \"/nowhere\"\n":                    "/nowhere",
		"[log]\nto = \"/nowhere/log\"\n":                         "/nowhere/log",
		"[server]\nuser = \"nobody-by-that-name\"\n":             "nobody-by-that-name",
		fmt.Sprintf("[pop3]\nlisten_tls = [%q]\n", taken.Addr()): "pop3.listen_tls " + taken.Addr().String() + ": bind: address already in use",
	} {
		write(text)
		s.refuses(78, want)
	}
	listens(a, "220")
	// A is gone and B is new; then B has another spelling, then it is of another protocol.
	write(fmt.Sprintf("[submission]\nlisten = [\"127.0.0.1:%d\"]\n[storage]\ncache = \"9MiB\"\n", b))
	s.mustRestart()
	listens(a, "")
	listens(b, "220")
	if out := s.run("config", "show", "--running"); !strings.Contains(out, "cache = \"9MiB\"") {
		t.Errorf("%s", out)
	}
	write(fmt.Sprintf("[server]\nuser = \"root\"\n[submission]\nlisten = [\":%d\"]\n", b))
	s.mustRestart()
	listens(b, "220")
	write(fmt.Sprintf("[server]\nuser = \"root\"\n[pop3]\nlisten_tls = [\":%d\"]\n", b))
	s.mustRestart()
	d, err := arrive(fmt.Sprintf("127.0.0.1:%d", b), true, "+OK")
	if err != nil {
		t.Error(err)
	} else {
		d.Close()
	}
	s.smtp[0], s.pop3[0] = smtp, pop3 // at the ports that were picked for port 0
	s.serves()
	s.terminate()
}

// A server that gives sessions no time still answers the order, and takes what waits.
func TestRestartWithoutDrain(t *testing.T) {
	t.Parallel()
	s := newServer(t, "reader")
	file := filepath.Join(t.TempDir(), "postrider.toml")
	if err := os.WriteFile(file, []byte("[limits]\ndrain_timeout = \"0s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = append(s.args, "--config", file)
	s.start()
	d := s.held()
	defer d.Close()
	if r := s.mustRestart(); r.Done.Cut != 1 {
		t.Errorf("%+v", r.Done)
	}
	s.serves()
	s.terminate()
}
