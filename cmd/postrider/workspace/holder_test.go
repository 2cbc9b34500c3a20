package workspace

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The process that listens at an address is found, whichever way the address is written.
func TestPortHolder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	me := fmt.Sprintf("process %d (", os.Getpid())
	for _, addr := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port, "[::]:" + port} {
		if got := PortHolder(addr); !strings.HasPrefix(got, me) {
			t.Errorf("%s: %q", addr, got)
		}
	}
	for _, addr := range []string{"127.0.0.2:" + port, "[::1]:" + port, "example.org:25", "nonsense"} {
		if got := PortHolder(addr); strings.HasPrefix(got, me) {
			t.Errorf("%s: %q", addr, got)
		}
	}
	l.Close()
	if got := PortHolder("127.0.0.1:" + port); strings.HasPrefix(got, me) {
		t.Errorf("closed: %q", got)
	}
}

func TestKernelAddress(t *testing.T) {
	f := func(text, want string, port uint16) {
		t.Helper()
		ip, p, ok := kernelAddress(text)
		if want == "" {
			if ok {
				t.Errorf("%s: %v", text, ip)
			}
			return
		}
		if !ok || ip != netip.MustParseAddr(want) || p != port {
			t.Errorf("%s: %v %d %v", text, ip, p, ok)
		}
	}
	f("0100007F:09DD", "127.0.0.1", 2525)
	f("00000000000000000000000001000000:0019", "::1", 25)
	f("0000000000000000FFFF00000100007F:0019", "127.0.0.1", 25)
	f("0100007F", "", 0)
	f("01:0019", "", 0)
	f("0100007Z:0019", "", 0)
}

// A lock of another process names it; our own, and none, do not.
func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "LOCK")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := lockHolder(path); got != 0 {
		t.Errorf("no lock: %d", got)
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		t.Fatal(err)
	}
	if got := lockHolder(path); got != 0 {
		t.Errorf("our own lock: %d", got)
	}
	if got := lockHolder(path + "x"); got != 0 {
		t.Errorf("no file: %d", got)
	}
}
