package aliasfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// names is a directory in which these accounts are.
type names []string

func (names) Alias(name string) (storage.Alias, error) {
	local, domain, err := router.ParseAddress(name, "a.example")
	return storage.Alias{Name: local, Domain: domain}, err
}

func (names) Target(text string) (string, error) {
	local, domain, err := router.ParseMailbox(strings.TrimPrefix(text, `\`), "a.example")
	return router.Mailbox(local, domain), err
}

func (n names) TakesMail(a storage.Alias) bool {
	for _, name := range n {
		if name == workspace.AliasName(a) {
			return !a.NamesItself()
		}
	}
	return false
}

// text is aliases as they are listed.
func text(aliases []storage.Alias) string {
	var out strings.Builder
	for _, a := range aliases {
		fmt.Fprintf(&out, "%s: %s\n", workspace.AliasName(a), strings.Join(a.Targets, ", "))
	}
	return out.String()
}

func TestRead_Success(t *testing.T) {
	f := func(in, want string, skips ...string) {
		t.Helper()
		aliases, skipped, err := Read(strings.NewReader(in), "aliases", names{"alice@a.example"})
		if got := text(aliases); err != nil || got != want {
			t.Errorf("%q: %v\n%s\nwant\n%s", in, err, got, want)
		}
		said := errors.Join(skipped...)
		for _, skip := range skips {
			if said == nil || !strings.Contains(said.Error(), skip) {
				t.Errorf("%q: no %q in\n%v", in, skip, said)
			}
		}
		if len(skips) != len(skipped) {
			t.Errorf("%q: skipped\n%v", in, said)
		}
	}
	f("", "")
	f("# nothing\n\n   # but comments\n\t\r\n", "")
	f("root: bob", "root@a.example: bob@a.example\n")
	f("root : bob,carol , ,\n \tdave@B.Example, bob\r\n", "root@a.example: bob@a.example, carol@a.example, dave@b.example\n")
	f("root: bob, # the boss\n# not of the entry\n   carol # and her\n", "root@a.example: bob@a.example, carol@a.example\n")
	f("@b.example: bob\n", "@b.example: bob@a.example\n")
	f("\"two words\": bob\n\"a:b\": \"c,d\"@x.example, \"e#f\"@x.example\n", "\"two words\"@a.example: bob@a.example\n\"a:b\"@a.example: \"c,d\"@x.example, e#f@x.example\n")
	f("alice: \\alice, bob", "alice@a.example: alice@a.example, bob@a.example\n")
	f("alice: bob\nroot: bob", "root@a.example: bob@a.example\n", "aliases:1: alice@a.example: the name is an account's")
	f("a: b\na: c\n", "a@a.example: b@a.example\n", "aliases:2: a@a.example is in line 1 already")
	f("a: \"|/usr/bin/vacation x, y\", b\nc: /dev/null\nd: :Include:/etc/list\n", "a@a.example: b@a.example\n",
		"aliases:1: a@a.example: \"|/usr/bin/vacation x, y\" (a command", "aliases:2: c@a.example: /dev/null (a file", "aliases:2: c@a.example: no targets are left",
		"aliases:3: d@a.example: :Include:/etc/list (a list", "aliases:3: d@a.example: no targets are left")
	f("a:\n", "", "no targets are left")
}

func TestRead_Failure(t *testing.T) {
	f := func(in string, code sysexits.Code, wanted ...string) {
		t.Helper()
		aliases, skipped, err := Read(strings.NewReader(in), "aliases", names{})
		if got, _ := sysexits.Of(err); got != code || aliases != nil || skipped != nil {
			t.Errorf("%.40q: exit code %d, want %d: %v", in, got, code, err)
			return
		}
		for _, want := range append(wanted, "nothing was added") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.40q: no %q in\n%v", in, want, err)
			}
		}
	}
	f("good: bob\nnocolon\nx\x01: bob\nfine: b\x02\n", sysexits.DataErr, "aliases:2: no colon", "aliases:3: ", "aliases:4: ")
	f("\n  bob\nroot: bob\n", sysexits.DataErr, "aliases:2: the line begins with a blank")
	f("\"a: bob\n", sysexits.DataErr, "aliases:1: no colon") // the quote does not end
	f("a: b\n"+strings.Repeat("x", maxLine+1), sysexits.IOErr, "aliases:2: ")
	_, _, err := Read(iotest.ErrReader(errors.New("broken")), "aliases", names{})
	if code, _ := sysexits.Of(err); code != sysexits.IOErr || !strings.Contains(err.Error(), "aliases:1: broken") {
		t.Error(err)
	}
}

// A list may have more lines than any other entry.
func TestLongList(t *testing.T) {
	var b strings.Builder
	b.WriteString("list: user0")
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&b, ",\n  user%d", i)
	}
	aliases, skipped, err := Read(strings.NewReader(b.String()), "aliases", names{})
	if err != nil || len(skipped) != 0 || len(aliases) != 1 || len(aliases[0].Targets) != n || aliases[0].Targets[n-1] != fmt.Sprintf("user%d@a.example", n-1) {
		t.Errorf("%d aliases, %v, %v", len(aliases), skipped, err)
	}
}
