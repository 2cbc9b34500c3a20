package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/queue"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/postrider/store"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/config"
	"postrider/storage"
	"postrider/storage/lsm"
)

// both runs f with the commands of this package, and with commands that show the result.
func both(t *testing.T, f func(*shelltest.Shell)) {
	t.Helper()
	shelltest.Both(t, f, AccountCommand, DomainCommand, AliasCommand, NewaliasesCommand, queue.RouteCommand, store.CheckCommand)
}

func TestAccounts(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "secret\n", "account add Alice --password-stdin", "added alice@a.example")
		s.Want(sysexits.CantCreate, "x\n", "account add alice@A.EXAMPLE --password-stdin", "exists already")
		s.Want(sysexits.NoUser, "x\n", "account add bob@b.example --password-stdin", "b.example is not ours", "domain add b.example")
		s.Want(sysexits.DataErr, "\n", "account add bob --password-stdin", "empty")
		s.Want(sysexits.Usage, "x\n", "account add bob@ --password-stdin", "no domain")
		s.Want(0, "secret\n", "account add carol --password-stdin --apop")
		s.Want(0, "other\n", "account passwd carol --password-stdin", "changed")
		s.Want(0, "new\n", "account passwd ALICE --password-stdin", "changed")
		s.Want(sysexits.NoUser, "new\n", "account passwd nobody --password-stdin", "no account nobody@a.example")
		s.Want(0, "", "account list", "alice@a.example", "carol@a.example", "password, apop")
		var lines []accountLine
		if err := json.Unmarshal([]byte(s.Want(0, "", "account list --json")), &lines); err != nil || len(lines) != 2 || !lines[0].Login {
			t.Errorf("%v %+v", err, lines)
		}
		s.Want(0, "", "account remove alice carol", "removed alice@a.example", "removed carol@a.example")
		s.Want(0, "", "account list --json", "[]")
		s.Want(sysexits.Usage, "", "account add", "expected 1 argument, got 0")
		s.Want(sysexits.Usage, "", "account list --frob", "--help")
	})
}

func TestAccountImport(t *testing.T) {
	ready, err := password.Hash([]byte("ready"), password.Cost{Memory: 64, Time: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(s *shelltest.Shell) {
		var b strings.Builder
		b.WriteString("# people\n\nalice:secret\nbob@a.example:with:colon\r\n")
		b.WriteString("carol:" + ready + ":1000:1000::/var/empty\n")
		for i := range 1000 {
			fmt.Fprintf(&b, "user%d:secret%d\n", i, i)
		}
		s.Want(0, b.String(), "account import -", "added 1003 accounts")
		s.Want(0, "", "account list", "alice@a.example", "bob@a.example", "carol@a.example")

		bad := s.File("bad.txt", "dave:secret\nnocolon\nalice:x\neve:\nfrank:{MD5}abc\ngrace@x.example:y\nDAVE:z\nheidi:{SSHA256}!\n")
		out := s.Want(sysexits.DataErr, "", "account import "+bad, "bad.txt:2: no colon", "bad.txt:3: the account alice@a.example exists",
			"bad.txt:4: the password is empty", "bad.txt:5: unusable", "unknown scheme {MD5}", "bad.txt:6: the domain x.example",
			"bad.txt:7: dave@a.example is in line 1 already", "bad.txt:8:", "nothing was added")
		if strings.Contains(out, "bad.txt:1:") {
			t.Error(out)
		}
		if out := s.Want(0, "", "account list"); strings.Contains(out, "dave") {
			t.Error("half an import was carried out")
		}
		s.Want(sysexits.NoInput, "", "account import "+filepath.Join(s.Dir, "none"), "no such file")
	})
}

func TestDomains(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "", "domain add B.Example c.example", "added b.example", "added c.example")
		s.Want(sysexits.CantCreate, "", "domain add b.example", "exists already")
		s.Want(sysexits.Usage, "", "domain add b..example", "not a domain")
		s.Want(0, "x\n", "account add bob@b.example --password-stdin")
		s.Want(sysexits.CantCreate, "", "domain remove b.example", "still has accounts")
		s.Want(0, "", "domain remove c.example", "removed c.example")
		s.Want(sysexits.NoUser, "", "domain remove c.example", "not ours")
		s.Want(sysexits.Config, "", "domain remove a.example", "server.domains")
		if out := s.Want(0, "", "domain list"); out != "a.example\nb.example\n" {
			t.Errorf("%q", out)
		}
		s.Want(0, "", "domain list --json", `"b.example"`)
	})
}

func TestAliases(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		s.Want(0, "", "alias add Sales alice Bob@a.example alice", "sales@a.example: alice@a.example, bob@a.example")
		s.Want(0, "", "alias add @a.example alice", "@a.example: alice@a.example")
		s.Want(0, "", "alias add out x@elsewhere.example", "out@a.example: x@elsewhere.example")
		s.Want(0, "", "alias remove out", "removed out@a.example")
		s.Want(sysexits.CantCreate, "", "alias add alice bob", "is an account")
		s.Want(sysexits.CantCreate, "x\n", "account add sales --password-stdin", "is an alias")
		s.Want(sysexits.NoUser, "x\n", "account passwd sales --password-stdin", "is an alias")
		s.Want(0, "", "alias list", "sales@a.example: alice@a.example, bob@a.example\n", "@a.example: alice@a.example\n")
		var lines []aliasLine
		if err := json.Unmarshal([]byte(s.Want(0, "", "alias list --json")), &lines); err != nil || len(lines) != 2 {
			t.Errorf("%v %+v", err, lines)
		}
		s.Want(0, "", "alias remove sales @a.example", "removed sales@a.example", "removed @a.example")
		s.Want(sysexits.NoUser, "", "alias remove sales", "no alias sales@a.example")
	})
}

// An account keeps a copy where an alias of its name names it.
func TestAliasThatKeepsACopy(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add ruth --password-stdin")
		s.Want(sysexits.CantCreate, "", "alias add ruth ruth.k@far.example", "add it to the targets")
		s.Want(0, "", `alias add Ruth \ruth Ruth.K@far.example`, "ruth@a.example: ruth@a.example, Ruth.K@far.example\n")
		s.Want(0, "", "alias import "+s.File("two", "paul: \\paul, Pa.Ul@Far.example\nvera: vera, ruth\n"), "added 2 aliases",
			"warning: the alias paul@a.example names itself, and no account has that name", "warning: the alias vera@a.example names itself")
		s.Want(0, "x\n", "account add paul --password-stdin", "added paul@a.example")
		s.Want(sysexits.CantCreate, "x\n", "account add paul --password-stdin", "exists already")
		s.Want(0, "p1:x\nvera:x\n", "account import -", "2")
		s.Want(0, "", "alias list", "paul@a.example: paul@a.example, Pa.Ul@far.example\n", "vera@a.example: vera@a.example, ruth@a.example\n")
		s.Want(0, "", "account list", "paul@a.example", "ruth@a.example", "vera@a.example")
		s.Want(0, "", "route ruth", "maildrop ruth@a.example", "sent on to Ruth.K@far.example")
		s.Want(0, "", "alias remove ruth", "removed ruth@a.example")
		if out := s.Want(0, "", "account list"); !strings.Contains(out, "ruth@a.example") {
			t.Error(out)
		}
		s.Want(0, "", "account remove vera", "removed vera@a.example", "warning: vera@a.example is still in the alias vera@a.example")
		s.Want(0, "", "check", "note: the alias vera@a.example names itself", " 0 faults")
	})
}

// Warnings and check report members that lead nowhere.
func TestDeadMembersAreReported(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "ruth:x\nleaver:x\n", "account import -")
		s.Want(0, "", "domain add old.example")
		s.Want(0, "", "alias add crew ruth leaver slip@a.example", "warning: the alias crew@a.example leads to slip@a.example, which does not exist")
		s.Want(0, "", "route crew", "maildrop ruth@a.example", "  no mailbox slip@a.example")
		s.Want(0, "", "alias add whole crew", "warning: the alias whole@a.example leads to slip@a.example")
		if out := s.Want(0, "", "alias add fine ruth leaver@a.example x@far.example"); strings.Contains(out, "warning") {
			t.Error(out)
		}
		s.Want(0, "", "alias import "+s.File("ring", "one: two\ntwo: one\nthree: one, ruth\nthree: x@far.example\nmoved: ruth, Jo.D@Old.Example\n"), "added 4 aliases",
			"ring:4: three@a.example is in line 3 already", "warning: the alias one@a.example leads in a circle", "warning: the alias two@a.example leads in a circle",
			"warning: the alias three@a.example leads to one@a.example, which leads in a circle", "warning: the alias moved@a.example leads to jo.d@old.example")
		s.Want(0, "", "account remove leaver", "warning: leaver@a.example is still in the alias crew@a.example", "still in the alias fine@a.example")
		s.Want(0, "", "domain remove old.example", "jo.d@old.example is still in the alias moved@a.example: the alias sends mail on to the hosts of old.example now")
		s.Want(0, "", "alias list", "# the alias crew@a.example leads to leaver@a.example, which does not exist", "\ncrew@a.example: ruth@a.example, leaver@a.example, slip@a.example\n")
		s.Want(0, "", "alias list --json", `"dead"`, "the alias one@a.example leads in a circle")
		s.Want(0, "", "check", "note: the alias whole@a.example leads to slip@a.example", " 0 faults")
		s.Want(0, "", "check --json", `"aliases": [`)
		s.Want(0, "", "alias import "+s.File("again", s.Want(0, "", "alias list")), "added 7 aliases") // its comments are comments
	})
}

// A domain is one, however it is written.
func TestInternationalNames(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "", "domain add Café.example", "added xn--caf-dma.example")
		s.Want(0, "x\n", "account add Zoe\u0308@cafe\u0301.example --password-stdin", "added zoë@xn--caf-dma.example")
		s.Want(sysexits.CantCreate, "x\n", "account add ZOË@XN--CAF-DMA.example --password-stdin", "exists already")
		s.Want(0, "", "alias add post@CAFÉ.example zoë@café.example Fern.Weh@Gru\u0308n.example", "post@xn--caf-dma.example: zoë@xn--caf-dma.example, Fern.Weh@xn--grn-ioa.example")
		s.Want(0, "", "route post@café.example", "maildrop zoë@xn--caf-dma.example", "Fern.Weh@xn--grn-ioa.example")
		s.Want(sysexits.Usage, "", "domain add \uff20é.example", "A-labels")
		s.Want(0, "", "alias remove post@xn--caf-dma.example")
		s.Want(0, "", "account remove zoë@café.example")
		s.Want(0, "", "domain remove CAFÉ.example", "removed xn--caf-dma.example")
	})
}

func TestAliasImport(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		path := s.File("aliases", `# recipients
mailer-daemon: postmaster
postmaster: root
root: alice, # the boss
	\bob
prog: "|/usr/bin/vacation a, b", alice
file: /dev/null
list: :include:/etc/list
out: friend@elsewhere.example
alice: bob
"two words": alice
`)
		s.Want(0, "", "alias import "+path, "aliases:6: prog@a.example: \"|/usr/bin/vacation a, b\" (a command",
			"aliases:7: file@a.example: /dev/null (a file", "aliases:7: file@a.example: no targets are left",
			"aliases:8: list@a.example: :include:/etc/list",
			"aliases:10: alice@a.example: the name is an account's", "added 6 aliases")
		s.Want(0, "", "alias list", "out@a.example: friend@elsewhere.example", "root@a.example: alice@a.example, bob@a.example", "prog@a.example: alice@a.example\n",
			`"two words"@a.example: alice@a.example`)
		bad := s.File("bad", "good: alice\nnocolon\nx y: alice\ngood: bob\n")
		s.Want(sysexits.DataErr, "", "alias import "+bad, "bad:2: no colon", "bad:3:", "nothing was added")
		if out := s.Want(0, "", "alias list"); strings.Contains(out, "good") {
			t.Error(out)
		}
	})
}

// The postmaster of the first start is a placeholder; one with a password is not.
func TestAnAliasReplacesThePlaceholderOfPostmaster(t *testing.T) {
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	cfg := config.Default()
	if err := store.AddDomain("localhost"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddAccount(storage.NewAccount{Name: "postmaster", Domain: "localhost"}); err != nil {
		t.Fatal(err)
	}
	ws := workspace.New(store, cfg)
	alias := storage.Alias{Name: "postmaster", Domain: "localhost", Targets: []string{"alice@localhost"}}
	if err := setAliases(ws, []storage.Alias{alias}); err != nil {
		t.Fatal(err)
	}
	if err := store.RemoveAlias("postmaster", "localhost"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddAccount(storage.NewAccount{Name: "postmaster", Domain: "localhost", Hash: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := setAliases(ws, []storage.Alias{alias}); !errors.Is(err, storage.ErrExists) {
		t.Errorf("an account that somebody uses was replaced: %v", err)
	}
}

func TestNewaliases(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		take := func(path string) (string, error) {
			cmd := NewaliasesCommand()
			var b strings.Builder
			cmd.SetOut(&b)
			cmd.SetErr(&b)
			cmd.SetContext(t.Context())
			err := takeAliases(cmd, &workspace.Target{File: s.Config}, path)
			return b.String(), err
		}
		if out, err := take(filepath.Join(s.Dir, "none")); err != nil || !strings.Contains(out, "kept in the store") {
			t.Error(out, err)
		}
		if out, err := take(s.File("aliases", "root: alice\n")); err != nil || out != "added 1 aliases\n" {
			t.Error(out, err)
		}
		s.Want(0, "", "alias list", "root@a.example: alice@a.example")
	})
}
