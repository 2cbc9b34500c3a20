package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// courierScript starts the Courier of unpacked packages on a port, with a configuration of
// its own. Courier knows its files by their paths below /usr and /etc, so they are mounted
// there, which only the processes of the script see.
const courierScript = `set -ex
mount --make-rprivate /
mount -t overlay -o lowerdir=%[1]s:/usr overlay /usr
mount -t overlay -o lowerdir=/etc,upperdir=%[2]s/etc,workdir=%[2]s/work overlay /etc
mount -t tmpfs tmpfs /run
mkdir -p /run/courier/authdaemon
makeuserdb
set -a
. /etc/courier/authdaemonrc
/usr/lib/courier/courier-authlib/authdaemond &
POP3AUTH=PLAIN
exec couriertcpd -address=127.0.0.1 -maxprocs=40 -maxperip=40 -nodnslookup -noidentlookup %[3]d \
    /usr/lib/courier/courier/courierpop3login /usr/lib/courier/courier/courierpop3d Maildir
`

const courierAuth = `authmodulelist="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=1
DEFAULTOPTIONS=""
LOGGEROPTS=""
`

// startCourier starts a Courier that gives out the Maildirs of m, and stops it with the test.
// It takes root.
func startCourier(m *moving) string {
	t := m.t
	t.Helper()
	need(t, "openssl")
	packages, err := filepath.Glob(filepath.Join(os.Getenv("POSTRIDER_COURIER"), "*", "usr"))
	if err != nil || len(packages) == 0 || os.Getenv("POSTRIDER_COURIER") == "" {
		missing(t, "no packages of Courier in POSTRIDER_COURIER (.ci/run unpacks what is needed)")
	}
	for _, folder := range []string{"etc/courier", "work"} {
		if err := os.MkdirAll(filepath.Join(m.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var users strings.Builder
	for _, reader := range m.readers {
		hash := strings.TrimSpace(execute(t, []byte(password(reader)), "openssl", "passwd", "-1", "-stdin"))
		box := filepath.Join(m.dir, "mail", reader)
		fmt.Fprintf(&users, "%s\tuid=65534|gid=65534|home=%s|mail=%s|systempw=%s\n", reader, box, box, hash)
	}
	port := freePort(t)
	for name, text := range map[string]string{
		"etc/courier/userdb":       users.String(),
		"etc/courier/authdaemonrc": courierAuth,
		"start":                    fmt.Sprintf(courierScript, strings.Join(packages, ":"), m.dir, port),
	} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", filepath.Join(m.dir, "start"))
	// The script is the first process of a namespace: all others end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	said, err := os.Create(filepath.Join(m.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		t.Skipf("namespaces are not allowed here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("Courier says %s", text[max(0, len(text)-8000):])
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, "Courier listens, and its login too", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		text, _ := os.ReadFile(said.Name())
		return err == nil && strings.Contains(string(text), "Installation complete")
	})
	return addr
}

// After a move from Courier mpop fetches what it has not seen, and nothing twice, whatever
// form Courier's unique-ids have: of a tree of Maildirs, and of mail that was pulled.
func TestNothingIsFetchedTwiceAfterCourier(t *testing.T) {
	t.Parallel()
	heavy(t)
	m := newMoving(t, "reader", "ann")
	courier := startCourier(m)
	m.fetches("Courier at first", courier, 20)
	m.deliver(3)
	m.fetches("Courier later", courier, 3)
	for _, reader := range m.readers {
		list, err := os.ReadFile(filepath.Join(m.dir, "mail", reader, "courierpop3dsizelist"))
		if err != nil || !strings.HasPrefix(string(list), "/3 ") || strings.Count(string(list), "\n") != 24 {
			t.Fatalf("Courier's list of %s is %q (%v)", reader, list, err)
		}
	}

	by := newServer(t, m.readers...)
	by.start()
	for _, reader := range m.readers {
		m.pulls(by, courier, reader, reader+"@localhost: 23 messages,")
	}
	m.fetches("postrider after pull", by.pop3[0], 0)

	m.deliver(2) // which Courier has not listed yet
	s := newServer(t, m.readers...)
	s.start()
	if out := s.run("import", "reader", filepath.Join(m.dir, "mail", "reader"), "--format", "maildir"); !strings.Contains(out, "25 messages") {
		t.Errorf("import: %s", out)
	}
	tree := []string{"import-tree", filepath.Join(m.dir, "mail"), "--pattern", "%n", "--journal", filepath.Join(m.dir, "journal")}
	if out := s.run(tree...); !strings.Contains(out, "2 Maildirs, 25 messages,") {
		t.Errorf("import-tree: %s", out)
	}
	m.fetches("postrider, what Courier had not listed", s.pop3[0], 2)
	m.fetches("postrider again", s.pop3[0], 0)
	if out := s.run("check"); !strings.Contains(out, "50 messages") || !strings.Contains(out, ": 0 faults") {
		t.Errorf("check: %s", out)
	}
}
