package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postrider/engine/edge/dns/dnstest"
)

// startSink starts Postfix's test receiver and ends it with the test.
func startSink(t *testing.T, addr string, args ...string) {
	t.Helper()
	if os.Getuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	cmd := exec.Command("smtp-sink", append(args, "inet:"+addr, "100")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "smtp-sink listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// Postfix's load generator as the client, its test receiver as the next hop: all that
// one sends the other gets, once, also when the receiver refuses or closes connections.
func TestRelayToSink(t *testing.T) {
	t.Parallel()
	need(t, "smtp-sink")
	need(t, "smtp-source")
	dir, err := os.MkdirTemp("", "postrider-sink")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // smtp-sink runs as another user
		t.Fatal(err)
	}
	port := freePort(t)
	at := func(host int) string { return fmt.Sprintf("127.0.0.%d:%d", host, port) }
	startSink(t, at(2), "-d", filepath.Join(dir, "%H."))
	startSink(t, at(3), "-f", "rcpt")
	startSink(t, at(4), "-r", ".")
	startSink(t, at(5), "-q", ".")
	names := dnstest.Start(t, "good.test. 300 IN A 127.0.0.2", "hard.test. 300 IN A 127.0.0.3", "soft.test. 300 IN A 127.0.0.4", "rude.test. 300 IN A 127.0.0.5")
	s := startRelay(t, names, port, `retry = ["1h"]`, "writer")

	const messages = 1000
	execute(t, nil, "smtp-source", "-s", "10", "-m", fmt.Sprint(messages), "-l", "2000", "-f", "writer@localhost", "-t", "r@good.test", "inet:"+s.smtp[0])
	s.submit(submission{from: "writer@localhost", to: []string{"r@hard.test", "r@soft.test", "r@rude.test"}})
	if _, about := s.notice("writer", "r@hard.test", "failed"); !strings.HasPrefix(about.Get("Diagnostic-Code"), "smtp; 500 ") {
		t.Errorf("the bounce says %v", about)
	}
	if status, reason := s.deferred("soft.test", "r@soft.test"); status[0] != '4' || !strings.Contains(reason, "in reply to end of DATA") {
		t.Errorf("refused for now: %s, %s", status, reason)
	}
	if status, reason := s.deferred("rude.test", "r@rude.test"); status != "4.4.2" || !strings.Contains(reason, "message may be sent more than once") {
		t.Errorf("broken off after the message: %s, %s", status, reason)
	}
	eventually(t, "the mail for good.test has left", func() bool { return len(s.queue("--to-domain", "good.test")) == 0 })

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int)
	for _, file := range files {
		octets, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := bytes.Cut(bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n")), []byte("\r\n\r\n"))
		ids[headerField(header, "message-id")]++
	}
	if len(files) != messages || len(ids) != messages {
		t.Errorf("smtp-sink has %d files with %d different Message-IDs, want %d", len(files), len(ids), messages)
	}
	s.check()
}
