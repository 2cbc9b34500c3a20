package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/shelltest"
)

func TestInstallPrints(t *testing.T) {
	s := shelltest.Bare(t, Command)
	out := s.Want(0, "", "install --print", "# ---- /usr/lib/sysusers.d/postrider.conf", "u postrider ", "d /var/lib/postrider 0700", "FileDescriptorName=smtp")
	if self, err := os.Executable(); err != nil || !strings.Contains(out, "ExecStart="+self+" serve ") || !strings.Contains(out, "ExecReload="+self+" reload ") {
		t.Errorf("the service is not filled in:\n%s", out)
	}
	s.Want(0, "", "install --print --only service --binary /usr/bin/postrider", "ExecStart=/usr/bin/postrider serve ", "Type=notify\n", "WatchdogSec=")
	s.Want(64, "", "install", "--print")
	s.Want(64, "", "install --print --only nothing", "sysusers, tmpfiles, service or socket")
}

// The scripts of the packages are scripts, and the lists of their files name what is there.
func TestPackagingScripts(t *testing.T) {
	packaging := "package"
	for shell, names := range map[string][]string{"sh": {"postinst", "prerm", "postrm"}, "bash": {"build", "try"}} {
		for _, name := range names {
			if out, err := exec.Command(shell, "-n", filepath.Join(packaging, name)).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
	build, err := os.ReadFile(filepath.Join(packaging, "build"))
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	for line := range strings.Lines(string(build)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "cp" {
			continue
		}
		for _, word := range words[1 : len(words)-1] {
			folder, names, _ := strings.Cut(strings.TrimSuffix(word, "}"), "{")
			for name := range strings.SplitSeq(names, ",") {
				if _, err := os.Stat(filepath.Join("../../..", folder+name)); err != nil {
					t.Errorf("build copies %s: %v", word, err)
				}
				copied++
			}
		}
	}
	if copied < 8 {
		t.Errorf("build copies %d files", copied)
	}
}

// systemd reads the service without a complaint, and thinks well of it.
func TestSystemdTakesTheService(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs the Debian package systemd")
	}
	s := shelltest.Bare(t, Command)
	unit := filepath.Join(t.TempDir(), "postrider.service")
	if err := os.WriteFile(unit, []byte(s.Want(0, "", "install --print --only service")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=20", unit).CombinedOutput(); err != nil {
		t.Errorf("its exposure is above 2.0: %v\n%s", err, out)
	}
}
