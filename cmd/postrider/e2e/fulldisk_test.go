package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"postrider/bench"
)

// A file system of 160 MB runs full. Then: 452, the session goes on, all that was
// acknowledged can be read; after space is freed mail is accepted again without a
// restart; nothing acknowledged is ever lost.
func TestFullDisk(t *testing.T) {
	heavy(t)
	disk := smallDisk(t, 160<<20)
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 48<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, data: filepath.Join(disk, "data")}
	t.Cleanup(s.kill) // registered after the mount's, so it runs before
	s.importAccounts([]string{"reader"})
	s.configure("[storage]\nfree_floor = \"4MiB\"\nballast = \"1MiB\"\n")
	s.start()

	books := newLedger()
	fill(t, s, books)
	accepted := len(books.acknowledged)
	t.Logf("452 after %d messages of 64 kB", accepted)
	report, err := bench.Fetch{Addr: s.pop3[0], User: "reader", Password: password("reader"), Mode: bench.Pipelined, Each: whole}.Run(t.Context())
	if err != nil || report.Messages < accepted {
		t.Errorf("while the disk is full %d of %d acknowledged messages can be read (%v)", report.Messages, accepted, err)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	for n := 1_000_000; deliverOne(t, s, books, n) != 250; n++ {
		if time.Since(freed) > patience {
			t.Fatalf("still no 250 %s after 48 MB were freed\n%s", patience, s.log)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("250 again %s after space was freed", time.Since(freed).Round(time.Millisecond))
	s.kill()
	s.start()
	books.collect(t, s, []string{"reader"})
	books.settle(t)
	s.check()
	s.terminate()
}

// fill sends messages that don't compress until several in a row get 452, all in
// one session.
func fill(t *testing.T, s *server, books *ledger) {
	t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	refused := 0
	for n := 0; refused < 5; n++ {
		if n == 10_000 {
			t.Fatal("640 MB went onto a disk of 160 MB")
		}
		reply, err := c.Deliver("sender@client.example", []string{"reader@localhost"}, bench.Noise(n, 64<<10))
		switch {
		case err != nil:
			t.Fatalf("message %d: %v; a full disk mustn't end the session\n%s", n, err, s.log)
		case reply.Code == 250:
			books.acknowledged[n] = true
			refused = 0
		case reply.Code == 452:
			refused++
		default:
			t.Fatalf("message %d gets %v, want 250 or 452", n, reply)
		}
	}
}

// deliverOne sends one message in a session of its own and returns the code.
func deliverOne(t *testing.T, s *server, books *ledger, n int) int {
	t.Helper()
	c, err := bench.DialSMTP(s.smtp[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reply, err := c.Deliver("sender@client.example", []string{"reader@localhost"}, bench.Noise(n, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Code == 250 {
		books.acknowledged[n] = true
	}
	return reply.Code
}

// smallDisk mounts a tmpfs for the length of the test. It takes root; elsewhere
// the test is skipped.
func smallDisk(t *testing.T, octets int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", octets))
	if errors.Is(err, syscall.EPERM) {
		if os.Geteuid() == 0 {
			missing(t, "mounting a small disk isn't permitted here, though we are root: %v", err)
		}
		t.Skip("mounting a small disk takes root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}
