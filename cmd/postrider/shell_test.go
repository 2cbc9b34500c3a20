package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/sysexits"
	"postrider/engine/admin"
	"postrider/engine/config"
	"postrider/storage/lsm"
)

// shell runs commands on one store.
type shell struct {
	t      *testing.T
	dir    string // of the test
	config string
}

// run runs a command with stdin and returns what it wrote and its exit code.
func (s *shell) run(stdin, line string) (out string, code sysexits.Code) {
	s.t.Helper()
	root := rootCommand()
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetIn(strings.NewReader(stdin))
	args := strings.Fields(line)
	if s.config != "" {
		args = append(args, "--config", s.config)
	}
	root.SetArgs(args)
	if err := root.ExecuteContext(context.Background()); err != nil {
		b.WriteString(err.Error())
		code = codeOf(err)
	}
	return b.String(), code
}

// want runs a command and compares the exit code, and looks for texts in the output.
func (s *shell) want(code sysexits.Code, stdin, line string, texts ...string) string {
	s.t.Helper()
	out, got := s.run(stdin, line)
	if got != code {
		s.t.Errorf("%s: exit code %d, want %d:\n%s", line, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			s.t.Errorf("%s: no %q in\n%s", line, text, out)
		}
	}
	return out
}

func (s *shell) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// newShell is a shell with a configuration for a store that is not there yet.
func newShell(t *testing.T) *shell {
	s := &shell{t: t, dir: t.TempDir()}
	s.config = s.file("postrider.toml", "[server]\ndomains = [\"a.example\"]\ndata = \""+filepath.Join(s.dir, "data")+
		"\"\n[auth]\nargon2_memory = \"64KiB\"\nargon2_time = 1\nscram_iterations = 4096\n[storage]\nballast = 0\ncache = \"8MiB\"\n")
	return s
}

// both runs f on a store that each command opens itself, and on one that a server
// has open behind its socket.
func both(t *testing.T, f func(*shell)) {
	t.Run("direct", func(t *testing.T) { f(newShell(t)) })
	t.Run("server", func(t *testing.T) {
		s := newShell(t)
		cfg, err := config.Load(s.config)
		if err != nil {
			t.Fatal(err)
		}
		store, err := lsm.Open(lsm.Options{Dir: cfg.Server.Data, BallastSize: -1, CacheSize: 8 << 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.AddDomain("a.example"); err != nil {
			t.Fatal(err)
		}
		stop, err := admin.Serve(context.Background(), socketOf(cfg), store, nil, func() admin.Status {
			return admin.Status{Version: "test", Health: "ok", SMTP: []string{"127.0.0.1:25"}}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			stop()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		f(s)
		if out, code := s.run("", "status"); code != 0 || !strings.Contains(out, "health: ok") {
			t.Errorf("status: %d %s", code, out)
		}
	})
}
