package shelltest

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/engine/host/history"
	"postrider/storage"
	"postrider/storage/lsm"
)

// Shell runs commands on one store.
type Shell struct {
	Dir    string // the test's temporary directory
	Config string // file that each command is given with --config; "": none
	Server bool   // a server has the store open

	t        *testing.T
	commands []func() *cobra.Command
}

// Run runs a command with stdin and returns what it wrote and its exit code.
func (s *Shell) Run(stdin, line string) (out string, code sysexits.Code) {
	s.t.Helper()
	root := workspace.Root(&cobra.Command{Use: "postrider"})
	for _, command := range s.commands {
		root.AddCommand(command())
	}
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetIn(strings.NewReader(stdin))
	args := strings.Fields(line)
	if s.Config != "" {
		args = append(args, "--config", s.Config)
	}
	root.SetArgs(args)
	if err := root.ExecuteContext(context.Background()); err != nil {
		b.WriteString(err.Error())
		code = workspace.ExitCode(err)
	}
	return b.String(), code
}

// Want runs a command and compares the exit code, and looks for texts in the output.
func (s *Shell) Want(code sysexits.Code, stdin, line string, texts ...string) string {
	s.t.Helper()
	out, got := s.Run(stdin, line)
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

// File makes a file in Dir and returns its path.
func (s *Shell) File(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// Read is the content of a file.
func (s *Shell) Read(path string) string {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// Bare is a shell without a configuration.
func Bare(t *testing.T, commands ...func() *cobra.Command) *Shell {
	return &Shell{Dir: t.TempDir(), t: t, commands: commands}
}

// New is a shell with a configuration, and an empty store.
func New(t *testing.T, commands ...func() *cobra.Command) *Shell {
	s := Bare(t, commands...)
	s.Config = s.File("postrider.toml", "[server]\ndomains = [\"a.example\"]\ndata = \""+filepath.Join(s.Dir, "data")+
		"\"\n[auth]\nargon2_memory = \"64KiB\"\nargon2_time = 1\nscram_iterations = 4096\nmin_password = 1\n[storage]\nballast = 0\ncache = \"8MiB\"\nkeep_deleted = \"7d\"\n")
	if err := s.open(t).Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens the store of the configuration.
func (s *Shell) open(t *testing.T) storage.Store {
	t.Helper()
	cfg, err := config.Load(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	store, err := lsm.Open(lsm.Options{Dir: filepath.Join(s.Dir, "data"), Retention: cfg.Retention(), BallastSize: -1, CacheSize: 8 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Both runs f on a store that each command opens itself, and on one that a server
// has open.
func Both(t *testing.T, f func(*Shell), commands ...func() *cobra.Command) {
	t.Run("direct", func(t *testing.T) { f(New(t, commands...)) })
	t.Run("server", func(t *testing.T) {
		s := New(t, commands...)
		s.serve(t, func(store storage.Store) (storage.Store, admin.Relay, func() []string) {
			return store, nil, func() []string { return []string{"127.0.0.1:25"} }
		})
		f(s)
	})
}

// serve starts a server for the commands of s. of gets its store, and returns what the
// server offers: a store, a relay, and its addresses of SMTP at the time.
func (s *Shell) serve(t *testing.T, of func(storage.Store) (storage.Store, admin.Relay, func() []string)) {
	t.Helper()
	s.Server = true
	cfg, err := config.Load(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	store := s.open(t)
	if err := store.AddDomain("a.example"); err != nil {
		t.Fatal(err)
	}
	offered, relay, smtp := of(store)
	kept := history.New(history.Options{Dir: cfg.HistoryDir(), Settings: history.Settings{Keep: cfg.Log.History, Room: cfg.Log.HistorySize}})
	l, err := admin.Listen(workspace.AdminSocket(cfg))
	if err != nil {
		t.Fatal(err)
	}
	stop := admin.Serve(t.Context(), l, offered, relay, nil, slog.New(slog.DiscardHandler), func() admin.Status {
		return admin.Status{Version: "test", Health: "ok", SMTP: smtp(), Settings: admin.Settings{Dir: s.Dir, Values: cfg.Values()}}
	}, admin.Remembering(kept))
	t.Cleanup(func() {
		stop(t.Context())
		kept.Flush()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}
