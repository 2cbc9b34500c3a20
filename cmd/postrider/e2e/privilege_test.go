package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// root skips a test that needs to be root.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
}

// open is a data directory that is not there, in folders that other users may pass.
func open(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "data")
}

func TestServerIsNotRoot(t *testing.T) {
	root(t)
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, data: open(t), args: []string{"--user", "nobody", "--submission", "127.0.0.1:0"}}
	s.run("dkim", "key", "localhost", "--bits", "ed25519", "--selector", "before", "--create") // as root: there is no data directory yet
	if err := exec.Command("chown", "-R", "nobody", s.data).Run(); err != nil {
		t.Fatal(err)
	}
	s.start()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if want := fmt.Sprintf("Uid:\t%s\t%[1]s\t%[1]s\t%[1]s\n", u.Uid); err != nil || !strings.Contains(string(status), want) {
		t.Errorf("no %q in\n%s", want, status)
	}
	s.importAccounts([]string{"alice"})
	s.terminate()
	// Commands by root work as the owner, and leave nothing that is root's.
	if out := s.run("account", "list"); !strings.Contains(out, "alice@localhost") {
		t.Errorf("account list:\n%s", out)
	}
	s.run("dkim", "key", "example.org", "--bits", "ed25519")
	if out := s.run("dkim", "list"); !strings.Contains(out, "example.org") {
		t.Errorf("dkim list:\n%s", out)
	}
	err = filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; fmt.Sprint(owner) != u.Uid {
			t.Errorf("%s belongs to %d", path, owner)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	s.terminate()
}

func TestServerRefuses(t *testing.T) {
	root(t)
	data := open(t)
	serve := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(binary, append([]string{"serve", "--data", data, "--pop3", "127.0.0.1:0"}, args...)...).CombinedOutput()
		exit, ok := err.(*exec.ExitError)
		if !ok || exit.ExitCode() != 78 && exit.ExitCode() != 73 || !strings.Contains(string(out), want) {
			t.Errorf("serve %v: %v\n%swant %s", args, err, out, want)
		}
	}
	serve("set server.user to the user to run as", "--smtp", "0.0.0.0:0")
	serve("server.user: user: unknown user", "--smtp", "127.0.0.1:0", "--user", "nobody-by-that-name")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	serve("chmod 700 "+data, "--smtp", "127.0.0.1:0")
	serve("chown -R nobody "+data, "--smtp", "127.0.0.1:0", "--user", "nobody")
}

// The file of the log that a start as root makes can be opened again by the user of the server: at
// SIGHUP, and at a restart.
func TestRestartOfAServerThatRootStarted(t *testing.T) {
	root(t)
	s := &server{t: t, data: open(t)}
	s.ownProgram()
	log := filepath.Join(filepath.Dir(s.data), "mail.log")
	s.args = []string{"--user", "nobody", "--config", filepath.Join(filepath.Dir(s.data), "postrider.toml")}
	if err := os.WriteFile(s.args[3], fmt.Appendf(nil, "[log]\nto = %q\n", log), 0o644); err != nil { //nolint:gosec // nobody reads it
		t.Fatal(err)
	}
	s.start()
	s.mustRestart()
	if out := s.run("reload"); !strings.Contains(out, "no key has changed") {
		t.Errorf("%s", out)
	}
	s.terminate()
	text, err := os.ReadFile(log)
	if err != nil || strings.Count(string(text), ": ready ") != 2 {
		t.Errorf("%v\n%s", err, text)
	}
}
