package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// serviceManager listens where a process reports its state.
func serviceManager(t *testing.T, watchdog string) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	t.Setenv("WATCHDOG_PID", "")
	return func() string {
		t.Helper()
		if err := l.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

// buffer is a log that a test reads while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func living(context.Context) error { return nil }

// The states of a service, in the words of sd_notify(3).
func TestNotifier(t *testing.T) {
	next := serviceManager(t, "")
	n, stop := newNotifier(slog.New(slog.DiscardHandler))
	want := func(text string) {
		t.Helper()
		if got := next(); got != text && !(strings.HasSuffix(text, "*") && strings.HasPrefix(got, text[:len(text)-1])) {
			t.Errorf("%q, want %q", got, text)
		}
	}
	n.ready("ready smtp=127.0.0.1:25", living)
	want("READY=1\nSTATUS=ready smtp=127.0.0.1:25")
	done := n.reloading()
	want("RELOADING=1\nMONOTONIC_USEC=*")
	done()
	want("READY=1")
	n.restarting(errors.New("one\ntwo"))
	want("STATUS=restarting: one; two")
	n.stopping()
	want("STOPPING=1\nSTATUS=*")
	stop()
	n.say("READY=1") // after the end: no line in the log, no panic
}

// The watchdog is fed before the server is ready, while it is alive, and while it ends; not
// while it hangs.
func TestWatchdogIsFedByTheLiving(t *testing.T) {
	next := serviceManager(t, "20000")
	log := new(buffer)
	n, stop := newNotifier(slog.New(slog.NewTextHandler(log, nil)))
	defer stop()
	fed := func(what string) {
		t.Helper()
		for range 3 {
			if got := next(); got != "WATCHDOG=1" {
				t.Fatalf("%s: %q", what, got)
			}
		}
	}
	fed("at the start")
	asked := make(chan bool)
	n.ready("ready", func(ctx context.Context) error {
		select {
		case answers := <-asked:
			if answers {
				return nil
			}
		case <-ctx.Done():
		}
		<-ctx.Done()
		return errors.New("event loop 1 does not turn")
	})
	for got := next(); got != "READY=1\nSTATUS=ready"; got = next() {
		if got != "WATCHDOG=1" {
			t.Fatalf("%q", got)
		}
	}
	for range 3 {
		asked <- true
	}
	asked <- false
	asked <- false // the first one has ended
	if !strings.Contains(log.String(), "event loop 1 does not turn") {
		t.Error(log)
	}
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Fatalf("%q", got)
		}
	}
	n.stopping()
	for got := next(); !strings.HasPrefix(got, "STOPPING=1"); got = next() {
		if got != "WATCHDOG=1" {
			t.Fatalf("%q", got)
		}
	}
	fed("while it ends")
}

// The watchdog may be for another process, or be off.
func TestWatchdogInterval(t *testing.T) {
	f := func(usec, pid string, want time.Duration) {
		t.Helper()
		t.Setenv("WATCHDOG_USEC", usec)
		t.Setenv("WATCHDOG_PID", pid)
		if got := watchdogInterval(); got != want {
			t.Errorf("%q %q: %s, want %s", usec, pid, got, want)
		}
	}
	f("", "", 0)
	f("60000000", "", 30*time.Second)
	f("60000000", "1", 0)
	f("-5", "", 0)
	f("soon", "", 0)
	f("1", "", 0)
}

// A server runs without a service manager, and when its socket is gone.
func TestWithoutAServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n, stop := newNotifier(slog.New(slog.DiscardHandler))
	n.ready("ready", living)
	stop()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	var log buffer
	n, stop = newNotifier(slog.New(slog.NewTextHandler(&log, nil)))
	n.stopping()
	stop()
	if !strings.Contains(log.String(), "NOTIFY_SOCKET") {
		t.Error(log.String())
	}
}
