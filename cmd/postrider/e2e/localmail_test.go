package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs a program as a user who may use nothing of the server's.
func asNobody(t *testing.T, in string, program string, args ...string) (status int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = "/"
	cmd.Stdin = strings.NewReader(in)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Any user of the machine can send mail by sendmail, though the data directory and the
// configuration are the server's alone. The Received field and the log tell who it was.
func TestSendmailOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		missing(t, "becoming another user takes root")
	}
	// A folder that every user may pass through; that of a test is root's alone.
	dir, err := os.MkdirTemp("", "postrider-users")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "sendmail")
	octets, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, octets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "reader", "writer")
	data := filepath.Join(dir, "data")
	if err := os.Rename(s.data, data); err != nil {
		t.Fatal(err)
	}
	s.data = data
	s.start()
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("the data directory: %v, %v", info, err)
	}
	f := func(in string, args ...string) {
		t.Helper()
		if status, said := asNobody(t, in, program, append([]string{"--data", data}, args...)...); status != 0 {
			t.Fatalf("sendmail %v: exit code %d: %s", args, status, said)
		}
	}
	f("To: reader\nSubject: by header\n\nhi\n", "-t", "-i")
	f("Subject: by argument\n\nhi\n.\nafter the dot\n", "reader@localhost")
	f("Subject: a name that is nobody's\n\nhi\n", "-f", "writer", "--", "reader", "ghost@localhost")
	f("To: reader, c d e\nSubject: an address that can't be read\n\nhi\n", "-t", "-f", "writer")
	got := s.fetch("reader", false)
	if len(got) != 4 {
		t.Fatalf("%d messages came", len(got))
	}
	for i, words := range []string{"by header", "by argument", "a name that", "an address that"} {
		if !bytes.Contains(got[i], []byte("Subject: "+words)) || !bytes.Contains(got[i], []byte("from userid 65534")) {
			t.Errorf("message %d is\n%s", i+1, got[i])
		}
	}
	if bytes.Contains(got[1], []byte("after the dot")) {
		t.Error("the text went on after the dot")
	}
	if told := s.fetch("writer", false); len(told) != 2 || !bytes.Contains(told[0], []byte("ghost@localhost")) || !bytes.Contains(told[1], []byte("c d e")) {
		t.Errorf("the sender was told %q", told)
	}
	if log := s.log.String(); !strings.Contains(log, "userid 65534") {
		t.Errorf("the log does not tell the user:\n%s", log)
	}
	if status, said := asNobody(t, "", program, "-bp", "--data", data); status != 77 || !strings.Contains(said, "can be used by root") {
		t.Errorf("the queue: exit code %d: %s", status, said)
	}
	s.terminate()
	if status, said := asNobody(t, "Subject: x\n\nx\n", program, "--data", data, "reader@localhost"); status != 75 || !strings.Contains(said, "no server") {
		t.Errorf("without a server: exit code %d: %s", status, said)
	}
}

// A user who may not read the configuration is no worse off: the system's socket and
// SMTP at port 25 are tried, and the error tells of them, not of the file.
func TestSendmailWithoutTheConfiguration(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		missing(t, "becoming another user takes root")
	}
	dir, err := os.MkdirTemp("", "postrider-config")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, program := filepath.Join(dir, "postrider.toml"), filepath.Join(dir, "postrider")
	if err := os.WriteFile(file, []byte("[server]\nhostname = \"mx.localhost\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	octets, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, octets, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	status, said := asNobody(t, "To: reader@localhost\nSubject: x\n\nx\n", program, "sendmail", "--config", file, "-t")
	if status != 75 && status != 0 || strings.Contains(said, file) { // 0: a mail server of the machine took it
		t.Errorf("exit code %d: %s", status, said)
	}
	if want := fmt.Sprint("open ", file); strings.Contains(said, want) {
		t.Errorf("%s", said)
	}
}
