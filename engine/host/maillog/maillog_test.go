package maillog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func lines(t *testing.T, asJSON bool, log func(*slog.Logger)) []string {
	t.Helper()
	var b bytes.Buffer
	h := New(&b, asJSON, slog.LevelInfo, "mx.test")
	log(slog.New(h))
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestTextHasTheShapeOfPostfixLines(t *testing.T) {
	got := lines(t, false, func(l *slog.Logger) {
		l.Info("connect from unknown[127.0.0.1]", "daemon", "smtpd")
		l.Info("", "daemon", "smtpd", "id", "01ABC", "client", "unknown[127.0.0.1]", "proto", "ESMTP")
		l.Warn("odd", "n", 3)
		l.Debug("not this")
	})
	prefix := `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d mx\.test postfix/`
	for i, want := range []string{
		`smtpd\[\d+\]: connect from unknown\[127\.0\.0\.1\]$`,
		`smtpd\[\d+\]: 01ABC: client=unknown\[127\.0\.0\.1\], proto=ESMTP$`,
		`master\[\d+\]: warning: odd: n=3$`,
	} {
		if !regexp.MustCompile(prefix + want).MatchString(got[i]) {
			t.Errorf("line %d: %s", i, got[i])
		}
	}
	if len(got) != 3 {
		t.Errorf("%d lines", len(got))
	}
}

func TestPeerCantForgeLines(t *testing.T) {
	evil := "x\r\n2026 mx postfix/smtpd[1]: forged\x00\x7f"
	if got := lines(t, false, func(l *slog.Logger) { l.Info(evil, "user", evil) }); len(got) != 1 {
		t.Errorf("%q", got)
	}
	got := lines(t, true, func(l *slog.Logger) { l.Info(evil, "user", "\xff\"\\") })
	var m map[string]any
	if err := json.Unmarshal([]byte(got[0]), &m); err != nil || len(got) != 1 || m["msg"] != evil {
		t.Errorf("%q: %v", got, err)
	}
}

func TestAttributesOfALoggerStandInEachLine(t *testing.T) {
	got := lines(t, true, func(l *slog.Logger) { l.With("daemon", "smtpd").Info("a", "n", 1, "ok", true) })
	var m map[string]any
	if err := json.Unmarshal([]byte(got[0]), &m); err != nil || m["daemon"] != "smtpd" || m["n"] != 1.0 || m["ok"] != true {
		t.Errorf("%q: %v", got, err)
	}
}

// stuck is a log reader that has stopped reading.
type stuck struct {
	release chan struct{}
	mu      sync.Mutex
	got     bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.Write(p)
}

func TestSlowReaderLosesLinesAndIsToldHowMany(t *testing.T) {
	w := &stuck{release: make(chan struct{})}
	h := New(w, false, slog.LevelInfo, "mx.test")
	l := slog.New(h)
	long := strings.Repeat("x", 1<<16)
	for range 3 * bufferLimit / len(long) {
		l.Info(long) // returns, though the output is not read
	}
	close(w.release)
	h.Close()
	l.Info("after the end: dropped, no panic")
	dropped := 0
	if at := strings.Index(w.got.String(), "warning: "); at < 0 {
		t.Fatal("no word of the dropped lines")
	} else if _, err := fmt.Sscanf(w.got.String()[at:], "warning: %d log lines dropped", &dropped); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.got.String(), long) + dropped; n != 3*bufferLimit/len(long) {
		t.Errorf("%d lines written or counted of %d", n, 3*bufferLimit/len(long))
	}
}
