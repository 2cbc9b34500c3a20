package maillog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// twoLines logs a line of a message and a warning.
func twoLines(h *Handler) {
	l := slog.New(h)
	l.Info("", "daemon", "smtpd", "id", "01ABC", "client", "unknown[192.0.2.1]\r\nPRIORITY=0")
	l.Warn("odd")
}

// received is what a daemon at the socket gets until count datagrams are there.
func received(t *testing.T, c net.PacketConn, count int) (all []string) {
	t.Helper()
	b := make([]byte, 1<<16)
	for range count {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Minute))
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b[:n]))
	}
	return all
}

func listen(t *testing.T, path string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A line is an entry of its own, with priority and identifier; the daemon at the other end
// adds time and host.
func TestDatagrams(t *testing.T) {
	for f, want := range map[form][2]string{
		syslog:       {`^<22>\w{3} [ \d]\d \d\d:\d\d:\d\d mta/smtpd\[\d+\]: 01ABC: client=unknown\[192\.0\.2\.1\]\?\?PRIORITY=0$`, `^<20>.* mta/master\[\d+\]: warning: odd$`},
		syslogObject: {`^<22>.* mta/smtpd\[\d+\]: \{"time":.*"client_address":"192\.0\.2\.1\]\\u000d\\u000aPRIORITY=0"\}$`, `"msg":"odd"\}$`},
		journal: {`^PRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_PID=\d+\nSYSLOG_IDENTIFIER=mta/smtpd\nMESSAGE=01ABC: client=unknown\[192\.0\.2\.1\]\?\?PRIORITY=0\n$`,
			`^PRIORITY=4\n(.*\n)+MESSAGE=warning: odd\n$`},
		journalObject: {`\nMESSAGE=\{"time":.*\}\n$`, `\nMESSAGE=\{.*"msg":"odd"\}\n$`},
	} {
		path := filepath.Join(t.TempDir(), "log")
		daemon := listen(t, path)
		d, err := dial(path)
		if err != nil {
			t.Fatal(err)
		}
		h := start(d, f, Settings{Name: "mta", Host: "mx.test"})
		twoLines(h)
		h.Close()
		for i, got := range received(t, daemon, 2) {
			if !regexp.MustCompile(want[i]).MatchString(got) {
				t.Errorf("form %d, entry %d: %q", f, i, got)
			}
		}
	}
}

// A log daemon that is started again gets lines again, and is told how many it has missed.
func TestDaemonIsStartedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first := listen(t, path)
	d, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	h := start(d, syslog, Settings{Host: "mx.test"})
	defer h.Close()
	l := slog.New(h)
	l.Info("one")
	received(t, first, 1)
	first.Close()
	os.Remove(path)
	l.Info("two")
	for { // until the writer has failed
		h.live.Load().sink.mu.Lock()
		empty := len(h.live.Load().sink.buf) == 0
		h.live.Load().sink.mu.Unlock()
		if empty {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(3 * gather)
	second := listen(t, path)
	l.Info("three")
	got := received(t, second, 1)
	if !strings.Contains(got[0], "two") { // the writer was late: nothing was missed
		more := received(t, second, 1)
		if !strings.HasSuffix(got[0], ": three") || !strings.Contains(more[0], "warning: 1 log lines dropped: ") {
			t.Errorf("%q, %q", got, more)
		}
	}
}

// Lines go to the new file after Reopen; where that is not possible they go on to the old one.
func TestFileIsOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mail.log")
	h, err := Open(Settings{To: path, Host: "mx.test"})
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(h)
	written := func(path, line string) {
		t.Helper()
		for {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(string(b), line+"\n") {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	l.Info("before")
	written(path, "before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Info("moved")
	written(path+".1", "moved")
	if err := h.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Info("after")
	written(path, "after")
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Reopen(); err == nil || !strings.Contains(err.Error(), "lines go on to the file that was opened before") {
		t.Errorf("Reopen: %v", err)
	}
	l.Info("still")
	h.Close()
	written(path+".2", "still")
	if _, err := Open(Settings{To: dir}); err == nil {
		t.Error("a directory is taken for a file")
	}
}

// full is a disk that takes so many octets.
type full struct {
	room int
	got  []byte
}

func (f *full) writeLines(lines []byte) (int, error) {
	n := min(f.room, len(lines))
	f.got, f.room = append(f.got, lines[:n]...), f.room-n
	if n < len(lines) {
		return count(lines[n:]), errors.New("no space left on device")
	}
	return 0, nil
}
func (f *full) reopen() error { return nil }
func (f *full) Close() error  { return nil }

// Lines that a full disk does not take are counted, and told of once it takes lines again.
func TestFullDisk(t *testing.T) {
	f := &full{}
	s := &sink{out: f, lost: func(n int, why string) []byte {
		b, _ := json.Marshal(map[string]any{"lost": n, "why": why})
		return append(b, '\n')
	}}
	unwritten := s.write([]byte("a\nb\n"), 0)
	unwritten = s.write([]byte("c\n"), unwritten)
	f.room = 1000
	unwritten = s.write([]byte("d\n"), unwritten)
	if got, want := string(f.got), "d\n{\"lost\":3,\"why\":\"no space left on device\"}\n"; got != want || unwritten != 0 {
		t.Errorf("%q, %d unwritten", got, unwritten)
	}
}
