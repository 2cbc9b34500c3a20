package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// An error's own code comes first, then its kind; all else is a usage error.
func TestExitCode(t *testing.T) {
	f := func(err error, want sysexits.Code) {
		t.Helper()
		if got := ExitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	f(errors.New("frob"), sysexits.Usage)
	f(sysexits.TempFail.With(storage.ErrNotFound), sysexits.TempFail)
	f(fmt.Errorf("alice: %w", storage.ErrNotFound), sysexits.NoUser)
	f(storage.ErrExists, sysexits.CantCreate)
	f(storage.ErrInvalid, sysexits.DataErr)
	f(storage.ErrFull, sysexits.TempFail)
	f(storage.ErrCorrupt, sysexits.IOErr)
	f(&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, sysexits.NoInput)
	f(&fs.PathError{Op: "open", Path: "x", Err: errors.New("EIO")}, sysexits.IOErr)
	f(IOError(errors.New("frob")), sysexits.IOErr)
	f(IOError(fmt.Errorf("alice: %w", storage.ErrNotFound)), sysexits.NoUser)
	if IOError(nil) != nil {
		t.Error("no error has become one")
	}
}

// run runs a command line of a tree with a group and a command that takes one argument.
func run(line string) error {
	leaf := &cobra.Command{Use: "leaf NAME", Args: Exactly(1), RunE: func(*cobra.Command, []string) error { return nil }}
	more := &cobra.Command{Use: "more NAME...", Args: AtLeast(1), RunE: func(*cobra.Command, []string) error { return nil }}
	root := Root(&cobra.Command{Use: "prog"}, Group("group", "of commands", leaf, more))
	root.SetArgs(strings.Fields(line))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	return root.Execute()
}

// A wrong command line is a usage error, which shows how the command is used.
func TestCommandLines(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		err := run(line)
		if want == "" && err == nil {
			return
		}
		if err == nil || ExitCode(err) != sysexits.Usage || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	f("group", "")
	f("group leaf a", "")
	f("group more a b", "")
	f("group nothing", `unknown command "nothing" (see "prog group --help")`)
	f("group leaf", "expected 1 argument, got 0: prog group leaf NAME")
	f("group leaf a b", "expected 1 argument, got 2")
	f("group more", "missing arguments: prog group more NAME...")
	f("group leaf a --frob", `(see "prog group leaf --help")`)
}

// --data replaces server.data of the configuration.
func TestTargetConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte("[server]\ndata = \"one\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(target Target, want string) {
		t.Helper()
		if cfg, err := target.Config(); err != nil || cfg.Server.Data != want || AdminSocket(cfg) != filepath.Join(want, "admin.sock") {
			t.Errorf("%+v: %v", target, err)
		}
	}
	f(Target{File: file}, "one")
	f(Target{File: file, Data: "two"}, "two")
	if _, err := (&Target{File: file + "x"}).Config(); ExitCode(err) != sysexits.Config {
		t.Error(err)
	}
}

// Without --config the file is $POSTRIDER_CONFIG, else that of the system if it exists,
// whose store has a place of its own.
func TestSystemConfig(t *testing.T) {
	before, dir := systemConfig, t.TempDir()
	defer func() { systemConfig = before }()
	systemConfig = filepath.Join(dir, "system.toml")
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	f := func(target Target, file, data string) {
		t.Helper()
		cfg, err := target.Config()
		if err != nil || cfg.File() != file || cfg.Server.Data != data {
			t.Errorf("%+v: %q %q, %v", target, cfg.File(), cfg.Server.Data, err)
		}
	}
	t.Setenv("POSTRIDER_CONFIG", "")
	f(Target{}, "", "./postrider-data")
	write("system.toml", "[smtp]\nmax_size = \"1MiB\"\n")
	f(Target{}, systemConfig, systemData)
	f(Target{Data: "two"}, systemConfig, "two")
	write("system.toml", "[server]\ndata = \"/srv/mail\"\n")
	f(Target{}, systemConfig, "/srv/mail")
	mine := write("mine.toml", "[smtp]\nmax_size = \"1MiB\"\n")
	t.Setenv("POSTRIDER_CONFIG", mine)
	f(Target{}, mine, "./postrider-data")
	f(Target{File: systemConfig}, systemConfig, "/srv/mail")
}

// On a machine with the service, the hint is the command that starts it: "postrider serve"
// would make a store of root's.
func TestHintsToStartTheServer(t *testing.T) {
	config, data, run, dir := systemConfig, systemData, units, t.TempDir()
	defer func() { systemConfig, systemData, units = config, data, run }()
	systemConfig, systemData, units = filepath.Join(dir, "system.toml"), filepath.Join(dir, "data"), dir
	if err := os.WriteFile(systemConfig, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("POSTRIDER_CONFIG", "")
	f := func(target Target, want string) {
		t.Helper()
		cfg, err := target.Config()
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{noStore(cfg, true), NoServer(cfg)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v lacks %q", target, err, want)
			}
		}
	}
	f(Target{}, "systemctl start postrider")
	f(Target{Data: filepath.Join(dir, "two")}, "postrider serve")
	f(Target{File: systemConfig}, "systemctl start postrider")
	units = filepath.Join(dir, "none")
	f(Target{}, "postrider serve")
}

// directory is a store with these domains, accounts and aliases.
type directory struct {
	storage.Store
	domains  []string
	accounts []storage.Account
	aliases  []storage.Alias
}

func (d directory) DomainSettings() (all []storage.Domain) {
	for _, name := range d.domains {
		all = append(all, storage.Domain{Name: name})
	}
	return all
}

func (d directory) Accounts(f func(storage.Account) bool) error {
	for _, a := range d.accounts {
		if !f(a) {
			break
		}
	}
	return nil
}

func (d directory) Aliases(f func(storage.Alias) bool) error {
	for _, a := range d.aliases {
		if !f(a) {
			break
		}
	}
	return nil
}

// The copy answers as the store would, and targets that lead nowhere are worded.
func TestRoster(t *testing.T) {
	ws := New(directory{
		domains:  []string{"a.example"},
		accounts: []storage.Account{{ID: 7, Name: "alice", Domain: "a.example"}},
		aliases: []storage.Alias{
			{Name: "alice", Domain: "a.example", Targets: []string{"alice@a.example", "x@far.example"}},
			{Name: "bob", Domain: "a.example", Targets: []string{"bob@a.example", "alice@a.example"}},
			{Name: "crew", Domain: "a.example", Targets: []string{"alice@a.example", "ghost@a.example", "one@a.example"}},
			{Name: "one", Domain: "a.example", Targets: []string{"two@a.example"}},
			{Name: "two", Domain: "a.example", Targets: []string{"one@a.example"}},
		},
	}, config.Default())
	all, err := NewRoster(ws)
	if err != nil {
		t.Fatal(err)
	}
	if !all.HostsDomain("a.example") || all.HostsDomain("far.example") {
		t.Error("the domains are others")
	}
	if at, err := all.Lookup("alice", "a.example"); err != nil || at.Account != 7 || len(at.Targets) != 2 {
		t.Errorf("%+v %v", at, err)
	}
	if _, err := all.Lookup("ghost", "a.example"); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
	wants := [][]string{nil, {"names itself"}, {"leads to ghost@a.example, which does not exist", "leads to one@a.example, which leads in a circle"}, {"leads in a circle, or"}, {"leads in a circle, or"}}
	for i, a := range all.List {
		words := DeadWords(a, all.Router.Dead(a))
		if len(words) != len(wants[i]) {
			t.Errorf("%s: %q, want %q", AliasName(a), words, wants[i])
			continue
		}
		for j, want := range wants[i] {
			if !strings.Contains(words[j], want) || !strings.Contains(words[j], "the alias "+AliasName(a)) {
				t.Errorf("%s: %q, want %q", AliasName(a), words[j], want)
			}
		}
	}
}

func TestAliasName(t *testing.T) {
	f := func(local, want string) {
		t.Helper()
		if got := AliasName(storage.Alias{Name: local, Domain: "a.example"}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("", "@a.example")
	f("al", "al@a.example")
	f("two words", router.Mailbox("two words", "a.example"))
}
