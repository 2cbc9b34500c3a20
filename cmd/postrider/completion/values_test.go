package completion

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/look"
	"postrider/cmd/postrider/mail"
	"postrider/cmd/postrider/queue"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/postrider/store"
	"postrider/cmd/postrider/workspace"
)

func TestPositions(t *testing.T) {
	f := func(use, want string, more bool) {
		t.Helper()
		if got, repeats := positions(use); strings.Join(got, " ") != want || repeats != more {
			t.Errorf("%s: %q %t", use, got, repeats)
		}
	}
	f("status", "", false)
	f("passwd NAME[@DOMAIN]", "NAME", false)
	f("remove NAME[@DOMAIN]...", "NAME", true)
	f("add FROM TO...", "FROM TO", true)
	f("export (NAME[@DOMAIN]... | --all) --format FORMAT --out DIR", "NAME", true)
	f("import NAME[@DOMAIN] --format FORMAT PATH", "NAME PATH", false)
	f("hold (ID... | ALL | - | FLAGS)", "ID", true)
	f("list [ID... | ALL | -]", "ID", true)
	f("import FILE|-", "FILE", false)
	f("postqueue [-c file] (-p | -j | -f | -i id | -s site)", "", false)
	f("postcat -q [-c file] [-beh] id...", "id", true)
	f("postsuper [-c file] [-d id] [queue...]", "queue", true)
	f("install --print", "", false)
	f("kick [SESSION...]", "SESSION", true)
}

// offered are the values that a shell is offered for a command line; "+files": and files.
func offered(t *testing.T, s *shelltest.Shell, line ...string) string {
	t.Helper()
	root := workspace.Root(&cobra.Command{Use: "postrider"}, accounts.AccountCommand(), accounts.AliasCommand(), accounts.DomainCommand(),
		queue.Command(), queue.PostqueueCommand(), queue.PostsuperCommand(), queue.PostcatCommand(), queue.QshapeCommand(),
		store.ExportCommand(), store.ImportCommand(), store.UndeleteCommand(), mail.Command(), look.KickCommand())
	Values(root)
	var out, errs strings.Builder
	root.SetOut(&out)
	root.SetErr(&errs)
	words := slices.Clone(line[:len(line)-1])
	if s.Config != "" {
		at := len(words)
		if strings.HasPrefix(words[at-1], "-") && words[at-1] != "-q" { // its value is completed
			at--
		}
		words = slices.Insert(words, at, "--config", s.Config)
	}
	root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, append(words, line[len(line)-1])...))
	if err := root.Execute(); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	values := strings.Join(lines[:len(lines)-1], " ")
	if lines[len(lines)-1] == ":0" {
		values += "+files"
	}
	return values
}

// The running server is asked for what an argument or an option can be.
func TestValues(t *testing.T) {
	s, q, _ := shelltest.WithQueue(t, accounts.AccountCommand, accounts.AliasCommand, accounts.DomainCommand)
	shelltest.Fill(q)
	s.Want(0, "", "domain add b.example")
	s.Want(0, "x\n", "account add alice --password-stdin")
	s.Want(0, "x\n", "account add albert@b.example --password-stdin")
	s.Want(0, "", "alias add team alice")
	f := func(want string, line ...string) {
		t.Helper()
		if got := offered(t, s, line...); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	const ids = "0000000000001 0000000000002 0000000000003"
	f("alice@a.example albert@b.example", "account", "passwd", "")
	f("alice@a.example", "account", "passwd", "ali")
	f("", "account", "passwd", "alice", "")
	f("alice@a.example", "account", "remove", "bob", "alic")
	f("", "account", "add", "a")
	f("team@a.example", "alias", "remove", "")
	f("", "alias", "add", "")
	f("alice@a.example albert@b.example", "alias", "add", "new", "a")
	f("a.example b.example", "domain", "remove", "")
	f("alice@a.example albert@b.example", "export", "")
	f("+files", "import", "alice", "")
	f(ids, "queue", "show", "")
	f(ids+" ALL", "queue", "hold", "")
	f("ALL", "queue", "hold", "A")
	f("0000000000003", "queue", "hold", "0000000000001", "0000000000003")
	f("x.example y.example z.example", "queue", "list", "--to-domain", "")
	f("y.example", "queue", "list", "--to-domain", "y")
	f(ids, "postcat", "-q", "")
	f(ids, "postsuper", "-d", "")
	f("active deferred hold incoming", "postsuper", "-d", "ALL", "")
	f("hold", "qshape", "h")
	f("x.example", "postqueue", "-s", "x")
	f("0000000000002", "postqueue", "-i", "0000000000002")
}

// What is to be undeleted is no account that is there, and no message of the queue.
func TestUndelete(t *testing.T) {
	s, q, _ := shelltest.WithQueue(t, accounts.AccountCommand)
	shelltest.Fill(q)
	for _, name := range []string{"alice", "albert", "bob"} {
		s.Want(0, "x\n", "account add "+name+" --password-stdin")
	}
	s.Want(0, "", "account remove --yes albert bob")
	f := func(want string, line ...string) {
		t.Helper()
		if got := offered(t, s, line...); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	f("albert@a.example bob@a.example", "account", "undelete", "")
	f("albert@a.example", "account", "undelete", "al")
	f("", "account", "undelete", "albert", "")
	f("alice@a.example", "account", "remove", "")
	f("alice@a.example", "undelete", "")
	f("", "undelete", "alice", "--id", "")
}

// Without a server nothing is offered, and no store is opened or made.
func TestWithoutAServer(t *testing.T) {
	s := shelltest.New(t)
	if got := offered(t, s, "account", "passwd", ""); got != "" {
		t.Errorf("%q", got)
	}
	s.Config = s.File("broken.toml", "[")
	if got := offered(t, s, "queue", "hold", ""); got != "ALL" {
		t.Errorf("%q", got)
	}
	if got := offered(t, s, "qshape", "d"); got != "deferred" {
		t.Errorf("%q", got)
	}
}

// Where there are no sessions nothing is offered for their numbers, and no files either.
func TestNoSessions(t *testing.T) {
	s, _, _ := shelltest.WithQueue(t, accounts.AccountCommand)
	if got := offered(t, s, "kick", ""); got != "" {
		t.Errorf("%q", got)
	}
}
