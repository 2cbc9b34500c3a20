package maillog

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Lines go to one output or the other, each once, while goroutines log and the output, the
// form, the name and the level change. An output that can't be opened changes nothing.
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	set := Settings{To: filepath.Join(dir, "a"), Host: "mx.test"}
	h, err := Open(set)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(h).With("daemon", "smtpd")
	const writers, lines = 4, 3000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range lines {
				log.Info(fmt.Sprintf("line %d of %d.", n, w))
			}
		})
	}
	for n := range 20 {
		next := Settings{To: filepath.Join(dir, string(rune('a'+n%3))), Host: "mx.test", Name: fmt.Sprintf("name%d", n), JSON: n%2 == 1}
		if err := h.Configure(next); err != nil {
			t.Fatal(err)
		}
		if err := h.Configure(Settings{To: "/nowhere/log"}); err == nil || h.Settings() != next {
			t.Fatalf("%v, %+v", err, h.Settings())
		}
	}
	all.Wait()
	last := Settings{To: filepath.Join(dir, "d"), Host: "mx.test", Level: slog.LevelWarn}
	if err := h.Configure(last); err != nil {
		t.Fatal(err)
	}
	log.Info("not wanted")
	log.Warn("wanted")
	h.Close()
	var text strings.Builder
	for _, name := range []string{"a", "b", "c", "d"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
				t.Errorf("%s: %q", name, line)
			}
		}
		text.Write(b)
	}
	for w := range writers {
		for n := range lines {
			if c := strings.Count(text.String(), fmt.Sprintf("line %d of %d.", n, w)); c != 1 {
				t.Fatalf("line %d of %d is there %d times", n, w, c)
			}
		}
	}
	if strings.Contains(text.String(), "not wanted") || !strings.Contains(text.String(), "postfix/smtpd") || !strings.Contains(text.String(), "name") {
		t.Error("the level or the name is not as configured")
	}
}
