package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sendmailAs runs a program as another user, and returns what it said and its exit code.
func sendmailAs(t *testing.T, uid uint32, env []string, stdin, program string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdin = "/", strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Every user may call sendmail, with a data directory that is closed to all others.
func TestSendmailOfOtherUsers(t *testing.T) {
	root(t)
	s := &server{t: t, data: open(t)}
	s.importAccounts([]string{"reader", "writer"})
	dir := filepath.Dir(s.data)
	sendmail := filepath.Join(dir, "sendmail")
	program, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(sendmail, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	const uid = 61235
	data := []string{"--data", s.data}
	run := func(code int, stdin string, args ...string) string {
		t.Helper()
		out, got := sendmailAs(t, uid, nil, stdin, sendmail, append(args, data...)...)
		if got != code {
			t.Errorf("%v: exit code %d, want %d: %s", args, got, code, out)
		}
		return out
	}
	if out := run(75, "x\n", "reader"); !strings.Contains(out, "no server takes mail on this host") && !strings.Contains(out, "reader") {
		t.Errorf("without a server: %s", out)
	}
	s.start()
	run(0, "To: reader\nSubject: by -t\n\nhello\n", "-t")
	run(0, "Subject: by name\n\n"+strings.Repeat("a long text\n", 200_000), "-i", "-f", "boss@x.test", "reader")
	run(0, "x\n", "-f", "reader@localhost", "reader", "no-such-user", "two words@x.test")
	run(0, "To: reader, c d e\nSubject: by half\n\nx\n", "-t", "-f", "writer")
	run(0, "Subject: to a ghost\n\nx\n", "-f", "writer", "reader", "ghost")
	told := s.fetch("writer", false)
	if len(told) != 2 || !bytes.Contains(told[0], []byte("c d e")) || !bytes.Contains(told[1], []byte("ghost@localhost")) {
		t.Errorf("the sender was told %q", told)
	}
	if log := s.log.String(); !strings.Contains(log, "uid=61235 from=<") {
		t.Errorf("the log does not tell the user:\n%s", log)
	}
	s.says(`  \w{13}  from <boss@x.test>, delivered to <reader@localhost>\n$`, "why", "--from", "x.test")
	s.says(`stored; it came by sendmail, userid 61235 by sendmail\n`, "why", s.idOf("--from", "x.test"))
	if out := run(67, strings.Repeat("much\n", 1<<20), "no-such-user"); !strings.Contains(out, "nothing was sent") {
		t.Error(out)
	}
	if out := run(64, "x\n"); !strings.Contains(out, "no recipients") {
		t.Error(out)
	}
	if out := run(77, "", "-bp"); !strings.Contains(out, "root") {
		t.Error(out)
	}
	config := filepath.Join(dir, "postrider.toml")
	text := "[server]\ndata = \"" + s.data + "\"\n[smtp]\nlisten = [\"" + s.smtp[0] + "\"]\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, code := sendmailAs(t, uid, []string{"POSTRIDER_CONFIG=" + config}, "QUIT\r\n", sendmail, "-bs")
	if code != 0 || !strings.HasPrefix(out, "220 ") || !strings.Contains(out, "\r\n221 ") {
		t.Errorf("-bs: %d %s", code, out)
	}
	if err := os.Chmod(config, 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = sendmailAs(t, uid, []string{"POSTRIDER_CONFIG=" + config}, "Subject: closed\n\nx\n", sendmail, append(data, "reader")...)
	if code != 0 {
		t.Errorf("with a closed configuration: %d %s", code, out)
	}
	// Without the socket the message goes by SMTP.
	if err := errors.Join(os.Chmod(config, 0o644), os.Remove(s.data+".mail.sock")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to, says string
		code     int
	}{{"reader", "", 0}, {"ghost", "nothing was sent", 67}, {"reader,ghost", "", 0}} {
		out, code = sendmailAs(t, uid, []string{"POSTRIDER_CONFIG=" + config}, "Subject: by SMTP to "+c.to+"\n\nx\n", sendmail, "-f", "writer@localhost", c.to)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("by SMTP to %s: %d %s", c.to, code, out)
		}
	}
	if told := s.fetch("writer", false); len(told) != 3 || !bytes.Contains(told[2], []byte("ghost@localhost")) {
		t.Errorf("the sender was told %q", told)
	}
	got := s.fetch("reader", true)
	var all bytes.Buffer
	for _, m := range got {
		all.Write(m)
	}
	for _, want := range []string{"Subject: by -t\r\n", "Return-Path: <boss@x.test>\r\n", "from userid 61235)", "Subject: closed\r\n", "Subject: by half\r\n", "Subject: to a ghost\r\n", "Subject: by SMTP to reader\r\n", "Subject: by SMTP to reader,ghost\r\n"} {
		if !bytes.Contains(all.Bytes(), []byte(want)) {
			t.Errorf("%q did not arrive", want)
		}
	}
	s.terminate()
	s.check()
}

// In capture mode mail that a program submits is captured like all other, whatever its
// recipients are.
func TestSendmailIntoCapture(t *testing.T) {
	root(t)
	s := &server{t: t, data: open(t), args: []string{"--capture", "--http", "127.0.0.1:0"}}
	s.start()
	sendmail := filepath.Join(filepath.Dir(s.data), "sendmail")
	program, err := os.ReadFile(binary)
	if err == nil {
		err = os.WriteFile(sendmail, program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, code := sendmailAs(t, 61236, nil, "Subject: from a program\n\nx\n", sendmail, "--data", s.data, "someone@elsewhere.test", "ghost")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	var all captured
	s.ask("GET", "/messages", "", 200, &all)
	if len(all.Messages) != 1 || all.Messages[0].Subject != "from a program" || len(all.Messages[0].Envelope.To) != 2 {
		t.Errorf("%+v", all)
	}
	s.terminate()
	s.check()
}
