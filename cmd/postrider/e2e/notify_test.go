package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The server tells its service manager when it is ready, reads its certificates again, is
// replaced, and ends; and it feeds the watchdog all the while.
func TestServiceManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "2000000")
	// until reads to a state, and returns how often the watchdog was fed before.
	until := func(state string) (fed int) {
		t.Helper()
		b := make([]byte, 4096)
		for {
			if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := l.Read(b)
			if err != nil {
				t.Fatalf("%s: %v", state, err)
			}
			switch got := string(b[:n]); {
			case strings.HasPrefix(got, state):
				return fed
			case got == "WATCHDOG=1":
				fed++
			default:
				t.Fatalf("%q, want %q", got, state)
			}
		}
	}
	s := newServer(t, "reader")
	s.start()
	until("READY=1\nSTATUS=ready smtp=" + s.smtp[0])
	until("WATCHDOG=1")
	until("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGHUP)
	until("RELOADING=1\nMONOTONIC_USEC=")
	until("READY=1")
	s.mustRestart()
	until("RELOADING=1\nMONOTONIC_USEC=")
	until("STATUS=restarting: by order of an operator")
	until("READY=1\nSTATUS=ready smtp=" + s.smtp[0])
	until("WATCHDOG=1")
	until("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGTERM)
	until("STOPPING=1")
	s.waitEnd()
}
