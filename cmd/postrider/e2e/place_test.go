package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// person is a user at a shell: a directory, and an environment without any settings.
type person struct {
	t   *testing.T
	dir string
	env []string
}

func newPerson(t *testing.T) *person {
	dir := t.TempDir()
	return &person{t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}}
}

func (u *person) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(u.t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = u.dir, u.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// types runs a command of the program, and wants this exit code and texts in its output.
func (u *person) types(code int, stdin, line string, wants ...string) string {
	u.t.Helper()
	cmd := u.command(append([]string{binary}, strings.Fields(line)...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatalf("%s: %v", line, err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		u.t.Errorf("postrider %s: exit code %d, want %d\n%s", line, got, code, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			u.t.Errorf("postrider %s: no %q in\n%s", line, want, out)
		}
	}
	return string(out)
}

// serves starts a server and waits until it has printed until.
func (u *person) serves(until string, args ...string) (out *tail, pid int) {
	u.t.Helper()
	out = new(tail)
	cmd := u.command(append([]string{binary, "serve", "--smtp", "127.0.0.1:0", "--pop3", "127.0.0.1:0"}, args...)...)
	log := new(tail)
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	for begin := time.Now(); !strings.Contains(out.String(), until); time.Sleep(10 * time.Millisecond) {
		if len(ended) > 0 || time.Since(begin) > patience {
			u.t.Fatalf("serve did not print %q:\n%s%s", until, out, log)
		}
	}
	u.t.Cleanup(stop)
	return out, cmd.Process.Pid
}

// Commands take hostname, domain and routes from the running server, and not from a file or
// the defaults, wherever they are run.
func TestCommandsAskTheRunningServer(t *testing.T) {
	u := newPerson(t)
	data := filepath.Join(u.dir, "elsewhere")
	file := filepath.Join(u.dir, "running.toml")
	if err := os.WriteFile(file, []byte("[relay]\ntransports = [\"example.com=[192.0.2.7]:2525\"]\npasswords = \"secrets\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(u.dir, "secrets"), []byte("[192.0.2.7]:2525 me:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.serves("ready ", "--config", file, "--data", "elsewhere", "--domain", "example.test", "--hostname", "mx.example.test")
	if err := os.WriteFile(file, []byte("[relay]\ntransports = [\"example.com=[192.0.2.8]:2525\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newPerson(t)
	other.types(0, "secret-word\n", "account add alice --password-stdin --data "+data, "added alice@example.test")
	other.types(0, "", "route bob@example.com --data "+data, "192.0.2.7")
	other.types(0, "", "config show --running --data "+data, `hostname = "mx.example.test"`, filepath.Join(u.dir, "secrets"))
	u.types(0, "", "config diff --config running.toml --data elsewhere", `192.0.2.7`, `192.0.2.8`, "running.toml:2", "server.domains")
	other.types(69, "", "account list", "no store in "+other.dir, "a server runs on ", data)
	u.types(0, "", "config check --config running.toml --data elsewhere", "the configuration is good")

	other.env = append(other.env, "POSTRIDER_CONFIG="+filepath.Join(other.dir, "mine.toml"))
	other.types(78, "", "account list", "mine.toml: no such file")
	if err := os.WriteFile(filepath.Join(other.dir, "mine.toml"), []byte("[server]\ndata = \""+data+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other.types(0, "", "account list", "alice@example.test")
	other.types(0, "hello\n", "sendmail alice")
	other.types(0, "", "account list", "alice@example.test")
	other.types(0, "", "config show --running", `domains = ["example.test"]`)

	// A file that is broken in the meantime: the server is found all the same.
	if err := os.WriteFile(filepath.Join(other.dir, "mine.toml"), []byte("[server]\ndata = \""+data+"\"\n[smtp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other.types(0, "", "account list", "alice@example.test", "warning: the settings of the running server are used", "mine.toml:4: expected")
	other.types(78, "", "serve", "mine.toml:4: expected")
}

// No command makes a store unless it is told to, in a directory that does not exist and in
// one with other files.
func TestOnlyServeMakesAStore(t *testing.T) {
	u := newPerson(t)
	if err := os.Mkdir(filepath.Join(u.dir, "letters"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"account add alice --password-stdin", "account import -", "alias add a b", "alias import -", "domain add a.example",
		"account list", "queue list", "export --all --out out", "check", "dkim key a.example", "route a@b.example", "status", "why 06FV1Q2C80000"} {
		u.types(69, "secret-word\n", line)
		if strings.HasPrefix(line, "dkim") {
			continue // it works at files only, and a directory of its own is no store
		}
		u.types(69, "secret-word\n", line+" --data letters")
	}
	for _, dir := range []string{u.dir, filepath.Join(u.dir, "letters")} {
		found, err := os.ReadDir(dir)
		if err != nil || len(found) > 1 {
			t.Errorf("%s: %v %v", dir, found, err)
		}
	}
	u.types(0, "secret-word\n", "account add alice --password-stdin --create", "added alice@localhost")
	u.types(0, "", "account list", "alice@localhost")
}

func TestWrongCommandLines(t *testing.T) {
	u := newPerson(t)
	u.types(0, "", "--version", "postrider ")
	u.types(0, "", "version", "postrider ")
	u.types(64, "", "acount list", `did you mean "postrider account"?`)
	u.types(64, "", "queue lst", `did you mean "postrider queue list"?`)
	u.types(64, "", "serve --domian example.org", "did you mean --domain?")
	u.types(64, "", "queue lst --json", `did you mean "postrider queue list"?`)
	u.types(64, "", "uuencode", "uuencode")
	u.types(78, "", "serve --config none.toml", "no such file")
	if err := os.WriteFile(filepath.Join(u.dir, "c.toml"), []byte("[smtp]\nmax_sise = 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.types(78, "", "serve --config c.toml", "c.toml:2: smtp.max_sise: no such key; did you mean max_size?")
	u.types(78, "", "config test c.toml", "c.toml:2: smtp.max_sise: ", "faults: 1")
}

// A second server says which process has the directory, or the port.
func TestASecondServer(t *testing.T) {
	u := newPerson(t)
	out, pid := u.serves("ready ")
	process := fmt.Sprintf("process %d", pid)
	u.types(69, "", "serve", "a server runs on "+u.dir, process)
	smtp := addresses(out.String(), "smtp")[0]
	u.types(69, "", "serve --data other --smtp "+smtp, "smtp.listen "+smtp, process+" (")
	// Without its socket, as while it starts, the lock tells.
	if err := os.Remove(filepath.Join(u.dir, "postrider-data", "admin.sock")); err != nil {
		t.Fatal(err)
	}
	u.types(69, "", "serve --smtp 127.0.0.1:0 --pop3 127.0.0.1:0", "already open", process+" (")
}

// What the server prints after its ready line can be typed as it is: the first message, and
// reading it, from another directory. Passwords of --demo stay over a restart.
func TestFirstSteps(t *testing.T) {
	u := newPerson(t)
	var passwords []string
	for range 2 {
		out, pid := u.serves("read it:", "--demo")
		words := regexp.MustCompile(`demo account (\S+), password (\S+)`).FindAllString(out.String(), -1)
		if len(words) != 2 || passwords != nil && !slices.Equal(words, passwords) {
			t.Errorf("%q after %q", words, passwords)
		}
		passwords = words
		other := newPerson(t)
		for _, what := range []string{"send a first message:", "read it:"} {
			_, line, _ := strings.Cut(out.String(), what)
			line, _, _ = strings.Cut(line, "\n")
			if text, err := other.command("sh", "-c", line).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, text)
			}
		}
		if text, err := os.ReadFile(filepath.Join(other.dir, "MBRAIN.TXT")); err != nil || !strings.Contains(string(text), "hello") {
			t.Errorf("%v: %q", err, text)
		}
		other.types(0, "", "alias list --data "+filepath.Join(u.dir, "postrider-data"), "postmaster@localhost: mbrain@localhost")
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitGone(t, pid)
	}
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for begin := time.Now(); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatal("the server does not end")
		}
	}
}

// A person who types a message into nc, with LF, is told at once why it is not taken; what
// is typed after it is not read.
func TestATypedMessageIsAnsweredAtOnce(t *testing.T) {
	s := newServer(t, "mbrain")
	s.start()
	c, err := net.Dial("tcp", s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience)) // less than smtp.data_timeout
	typed := "helo test\nmail from: test@sample.com\nrcpt to: mbrain@localhost\ndata\nsubject: lunch\n\nCan we have lunch Monday?\n.\n"
	if _, err := io.WriteString(c, typed); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	if _, err := io.Copy(&said, c); err != nil {
		t.Fatalf("no end: %v\n%s", err, &said)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\r\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "550 5.5.2 ") || !strings.Contains(last, "nc needs -C") {
		t.Errorf("%s", &said)
	}
	if messages := s.fetch("mbrain", false); len(messages) != 0 {
		t.Errorf("%q", messages)
	}
}

// A program that sends a long message with such a dot in it, and reads only after the end,
// has the reply too, and not a connection that is reset; what follows the dot is no command.
func TestAProgramReadsWhyItsDotIsRefused(t *testing.T) {
	s := newServer(t, "mbrain")
	s.start()
	c, err := net.Dial("tcp", s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	begin := "helo test\r\nmail from:<test@sample.com>\r\nrcpt to:<mbrain@localhost>\r\ndata\r\none\r\n.\n"
	evil := "mail from:<evil@sample.com>\r\nrcpt to:<mbrain@localhost>\r\ndata\r\nsmuggled\r\n.\r\n"
	rest := strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50_000)
	if _, err := io.WriteString(c, begin+evil+rest+".\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if err != nil || strings.Count(string(said), "\r\n550 5.5.2 ") != 1 || strings.Count(string(said), "\n354 ") != 1 {
		t.Errorf("%v\n%s", err, said)
	}
	if messages := s.fetch("mbrain", false); len(messages) != 0 {
		t.Errorf("%q", messages)
	}
}

// The mail client trusts the certificate that the server has made, on this host.
func TestMailTrustsTheMadeCertificateOnLoopback(t *testing.T) {
	s := newServer(t, "writer")
	s.configure("[smtp]\nlisten_tls = [\"127.0.0.1:0\"]\n[pop3]\nlisten_tls = [\"127.0.0.1:0\"]\n")
	s.start()
	c := newMailClient(t)
	c.account("starttls", "writer", "--pop3", s.pop3[0], "--smtp", s.smtp[0])
	c.account("tls", "writer", "--pop3", s.pop3s[0], "--pop3-security", "tls", "--smtp", s.smtps[0], "--smtp-security", "tls")
	for _, account := range []string{"starttls", "tls"} {
		c.must("hello\n", "send", "--account", account, "--to", "writer@localhost", "--subject", account)
	}
	if got := c.list("--account", "tls"); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}
