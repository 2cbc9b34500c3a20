package e2e

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Clients that say nothing take all connections that a process with few open files has, of
// every protocol. Mail over a session that was there is stored meanwhile, memtable after
// memtable; commands and POP3 work; the store never fails; and when the clients go,
// new ones are served.
func TestIdleClientsLeaveTheStoreItsFiles(t *testing.T) {
	for _, files := range []int{160, 400} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			s := newServer(t, "alice")
			s.nofile = files
			s.configure("[storage]\nmemtable = \"1MiB\"\nballast = \"0\"\nfree_floor = \"1MiB\"\ncompression = \"none\"\n[log]\nlevel = \"warn\"\n")
			s.args = append(s.args, "--http", "127.0.0.1:0")
			s.start()
			if !strings.Contains(s.log.String(), fmt.Sprintf("the limit of open files is %d: limits.connections is ", files)) {
				t.Errorf("the log does not say what was cut:\n%s", s.log)
			}
			sender := dialRaw(t, s.smtp[0])
			var idle []net.Conn
			refused := 0
			addrs := []string{s.smtp[0], s.pop3[0], s.http[0]}
			for i := range 2 * files {
				conn, err := net.Dial("tcp", addrs[i%3])
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				idle = append(idle, conn)
				if i%3 == 2 {
					continue
				}
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				line, err := bufio.NewReader(conn).ReadString('\n')
				if err != nil {
					t.Fatalf("connection %d hears nothing: %v", i, err)
				}
				if strings.HasPrefix(line, "421 ") || strings.HasPrefix(line, "-ERR ") {
					refused++
				}
			}
			if refused == 0 {
				t.Error("nothing was refused")
			}
			const messages = 40
			for i := range messages {
				sender.say("MAIL FROM:<a@localhost>", "250")
				sender.say("RCPT TO:<alice@localhost>", "250")
				sender.say("DATA", "354")
				sender.say(fmt.Sprintf("Subject: %d\r\n\r\n%s.", i, noise(t, 100_000)), "250")
			}
			if got := s.run("account", "list"); !strings.Contains(got, "alice") {
				t.Errorf("account list: %s", got)
			}
			if n := s.open(); n > files {
				t.Errorf("%d files are open of %d", n, files)
			} else {
				t.Logf("%d files are open of %d; %d clients were refused", n, files, refused)
			}
			for _, conn := range idle {
				conn.Close()
			}
			for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				conn, err := net.Dial("tcp", s.pop3[0])
				if err != nil {
					t.Fatal(err)
				}
				line, _ := bufio.NewReader(conn).ReadString('\n')
				conn.Close()
				if strings.HasPrefix(line, "+OK") {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("a new client hears %q", line)
				}
			}
			if got := s.fetch("alice", false); len(got) != messages {
				t.Errorf("%d of %d messages", len(got), messages)
			}
			if log := s.log.String(); strings.Contains(log, "the store failed") || strings.Contains(log, "too many open files") {
				t.Errorf("the log:\n%s", log)
			}
			s.check()
			s.terminate()
		})
	}
}

// With fewer files than any server needs there is an error with the number needed.
func TestTooFewFilesToStart(t *testing.T) {
	s := newServer(t, "alice")
	s.nofile = 80
	status, said := s.limited("serve", "--data", s.data, "--smtp", "127.0.0.1:0", "--pop3", "127.0.0.1:0")
	if status != 78 || !strings.Contains(said, "the limit of open files is 80") || !strings.Contains(said, "LimitNOFILE=") {
		t.Errorf("serve: %d %s", status, said)
	}
	s.nofile = 300
	if status, said = s.limited("config", "check"); status != 0 || !strings.Contains(said, "limits.connections is ") {
		t.Errorf("config check: %d %s", status, said)
	}
}

// limited runs a command with the server's limit of open files.
func (s *server) limited(args ...string) (status int, said string) {
	s.t.Helper()
	out, err := limitFiles(s.nofile, args).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return 0, string(out)
}

// limitFiles is the program with a limit of open files.
func limitFiles(limit int, args []string) *exec.Cmd {
	return exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, limit), binary}, args...)...)
}

// open is how many files the process has open.
func (s *server) open() int {
	s.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(all)
}

// noise is lines that can't be compressed.
func noise(t *testing.T, octets int) string {
	t.Helper()
	b := make([]byte, octets*3/4)
	_, _ = rand.Read(b)
	text := base64.StdEncoding.EncodeToString(b)
	var lines strings.Builder
	for ; len(text) > 76; text = text[76:] {
		lines.WriteString(text[:76] + "\r\n")
	}
	return lines.String()
}
