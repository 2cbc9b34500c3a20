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
	if self, err := os.Executable(); err != nil || !strings.Contains(out, "ExecStart="+self+" serve ") || !strings.Contains(out, "kill -HUP $MAINPID") {
		t.Errorf("the service is not filled in:\n%s", out)
	}
	s.Want(0, "", "install --print --only service --binary /usr/bin/postrider", "ExecStart=/usr/bin/postrider serve ", "Type=notify\n", "WatchdogSec=")
	s.Want(64, "", "install", "--print")
	s.Want(64, "", "install --print --only nothing", "sysusers, tmpfiles, service or socket")
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
