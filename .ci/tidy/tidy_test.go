package tidy

import (
	"go/token"
	"strings"
	"testing"
)

// The tree follows its own rules.
func TestTree(t *testing.T) {
	found, err := check("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// findings runs the rules for one file over a source.
func findings(t *testing.T, name, source string) string {
	t.Helper()
	f, err := parse(token.NewFileSet(), name, []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, rule := range []func(*file) []finding{imports, pure, receipts, durable, size, documented, words, english, formatted} {
		for _, found := range rule(f) {
			all = append(all, found.String())
		}
	}
	return strings.Join(all, "\n")
}

func TestRules_Broken(t *testing.T) {
	f := func(name, source, want string) {
		t.Helper()
		if got := findings(t, name, source); !strings.Contains(got, want) {
			t.Errorf("%s\n%s\nfindings %q, want one with %q", name, source, got, want)
		}
	}
	f("codec/dot/a.go", "package dot\n\nimport _ \"postrider/storage\"\n", "codec imports only codec")
	f("codec/dot/a.go", "package dot\n\nimport _ \"net\"\n", "does no I/O")
	f("codec/dot/a_test.go", "package dot\n\nimport _ \"postrider/engine\"\n", "codec imports only codec")
	f("engine/protocol/smtpd/a.go", "package smtpd\n\nimport _ \"postrider/engine/server\"\n", "a pure machine imports only")
	f("engine/relay/agent/a.go", "package agent\n\nimport _ \"postrider/engine/config\"\n", "wing config is above relay")
	f("engine/relay/agent/a_test.go", "package agent\n\nimport _ \"postrider/engine/config\"\n", "wing config is above relay")
	f("engine/relay/agent/a.go", "package agent\n\nimport _ \"postrider/engine/server\"\n", "wing server is above relay")
	f("engine/protocol/smtpd/a.go", "package smtpd\n\nimport _ \"postrider/engine/edge/loop\"\n", "a pure machine imports only")
	f("engine/edge/dns/a.go", "package dns\n\nimport _ \"postrider/engine/mail/router\"\n", "knows no next hops")
	f("engine/admit/login/a.go", "package login\n\nimport _ \"postrider/engine/front/web\"\n", "it knows no sessions")
	f("engine/relay/mtasts/a.go", "package mtasts\n\nimport _ \"postrider/engine/relay/mx\"\n", "ask engine/edge/dns")
	f("engine/protocol/pop3d/a.go", "package pop3d\n\nimport \"time\"\n\nvar x = time.Now()\n", "reads the clock")
	f("engine/protocol/pop3d/a.go", "package pop3d\n\nfunc f() {\n\tgo f()\n}\n", "starts a goroutine")
	f("engine/edge/conn/a.go", "package conn\n\nimport _ \"postrider/engine/protocol/smtpd\"\n", "knows no protocol")
	f("engine/edge/loop/a.go", "package loop\n\nimport _ \"postrider/codec/smtp\"\n", "knows nothing of mail")
	f("engine/a.go", "package engine\n\nimport _ \"postrider/storage/lsm\"\n", "only cmd picks")
	f("engine/a.go", "package engine\n\nimport \"postrider/storage/lsm\"\n\nvar x = lsm.Y\n", "only cmd picks")
	f("engine/a.go", "package engine\n\nimport \"github.com/cockroachdb/pebble/v2\"\n\nvar x = pebble.Y\n", "only storage/lsm knows Pebble")
	f("engine/a.go", "package engine\n\nimport \"github.com/panjf2000/gnet/v2/pkg/netpoll\"\n\nvar x = netpoll.Y\n", "only engine/edge/loop knows gnet")
	f("engine/a.go", "package engine\n\nvar x = storage.NewReceipt(1)\n", "only a store's commit path")
	f("engine/mail/dkim/a.go", "package dkim\n\nvar x = os.Rename\n", "use package engine/host/disk")
	f("storage/lsm/backup/a.go", "package backup\n\nvar x = fs.MkdirAll\n", "MakeDirs syncs the parents")
	f("bench/a.go", "package bench\n\nimport _ \"postrider/storage\"\n", "over TCP only")
	f("cmd/sysexits/a.go", "package sysexits\n\nimport _ \"postrider/storage\"\n", "has the codes alone")
	f("cmd/sysexits/a.go", "package sysexits\n\nimport _ \"github.com/spf13/cobra\"\n", "has the codes alone")
	f("cmd/postrider/queue/a.go", "package queue\n\nimport _ \"postrider/cmd/postrider/accounts\"\n", "imports only workspace")
	f("cmd/postrider/queue/life/a.go", "package life\n\nimport _ \"postrider/cmd/postrider/accounts/lines\"\n", "imports only workspace")
	f("cmd/postrider/workspace/a.go", "package workspace\n\nimport _ \"postrider/cmd/postrider/queue\"\n", "imports only workspace")
	f("cmd/postrider/queue/a.go", "package queue\n\nimport _ \"postrider/cmd/postrider/shelltest\"\n", "for tests")
	f("engine/a.go", "package engine\n\nimport _ \"postrider/cmd/sysexits\"\n", "cmd -> engine")
	f("engine/a.go", "package engine\n\nfunc Open() {}\n", "exported Open has no doc comment")
	f("engine/a.go", "package engine\n\ntype Conn struct{}\n", "exported Conn has no doc comment")
	f("engine/a.go", "package engine\n\n// TO"+"DO later\n", "file an issue")
	f("engine/a.go", "package engine\n\nvar  x int\n", "gofmt")
	f("engine/a.go", "package engine\n"+strings.Repeat("\n// x\n", 300), "say in its first lines why")
	f("engine/a.go", "package engine\n\nfunc f() {\n"+strings.Repeat("\tf()\n", 120)+"}\n", "split it at its ideas")
}

func TestEnglish_Broken(t *testing.T) {
	f := func(source, want string) {
		t.Helper()
		source = "package dot\n\n" + source + "\n"
		if got := findings(t, "codec/dot/a.go", source); !strings.Contains(got, want) {
			t.Errorf("%s\nfindings %q, want one with %q", source, got, want)
		}
		if got := findings(t, ".ci/tidy/a.go", source); got != "" {
			t.Errorf("%s\nfindings in .ci, which has the words itself: %q", source, got)
		}
	}
	f("// next is the line behind it.\nvar next int", `a.go:3: "behind": write "after"`)
	f("// place is the place\n// where it stands.\nvar place int", `a.go:4: "stands": write "is"`)
	f("/*\nplace is where it stands.\n*/\nvar place int", `a.go:4: "stands": write "is"`)
	f("// wait waits for Somebody.\nvar wait int", "a noun with it")
	f("// to is whom it is for.\nvar to int", "the recipient")
	f("// Who asks gets it.\nvar asks int", `"Who": write a noun before it`)
	f("// asks counts, who asks gets it.\nvar asks int", "write a noun before it")
	f("// user has his own.\nvar user int", "the operator")
	f("// octets are those of the file.\nvar octets int", "repeat the noun")
	f("// again begins anew.\nvar again int", `write "again"`)
	f("// is says whether it is.\nvar is bool", "reports whether")
	f("var count int // of these", "begin with a noun")
	f("var err = \"%s stands there\"", `a.go:3: "stands"`)
	f("var err = \"goes on behind it\"", `write "after"`)
	f("var err = \"this is nobody's address\"", "the recipient")
	f("var err = `see below.\nIt is made anew.`", `write "again"`)
	f("var err = \"an address is wanted\"", "expected")
	f("var err = \"there is no user %s\"", "no such")
	f("var err = \"%q is no level\"", "unknown")
}

func TestEnglish_Kept(t *testing.T) {
	f := func(name, source string) {
		t.Helper()
		if got := findings(t, name, "package dot\n\n"+source+"\n"); got != "" {
			t.Errorf("%s\nfindings %q, want none", source, got)
		}
	}
	f("codec/dot/a.go", "// Of finds the dot.\nfunc Of() {}")
	f("codec/dot/a.go", "// of finds the dot.\nfunc of() {}")
	f("codec/dot/a.go", "// n is the number\n// of dots.\nvar n int")
	f("codec/dot/a.go", "// user is a user who has logged in; those are few. The standard says so.\nvar user int")
	f("codec/dot/a.go", "var name = \"nobody\"")
	f("codec/dot/a.go", "var text = \"user nobody\"")
	f("codec/dot/a_test.go", "var text = \"he stands behind it\"")
	f(".ci/tidy/a.go", "// Behind it stands nobody.\nvar x int")
}

func TestRules_Kept(t *testing.T) {
	f := func(name, source string) {
		t.Helper()
		if got := findings(t, name, source); got != "" {
			t.Errorf("%s\n%s\nfindings %q, want none", name, source, got)
		}
	}
	f("codec/dot/a.go", "package dot\n\nimport _ \"bytes\"\n")
	f("codec/dot/a_test.go", "package dot\n\nimport _ \"os\"\nimport _ \"pgregory.net/rapid\"\n")
	f("engine/protocol/smtpd/a.go", "package smtpd\n\nimport _ \"postrider/codec/smtp\"\nimport _ \"postrider/storage\"\nimport _ \"time\"\n")
	f("engine/a.go", "package engine\n\nimport _ \"postrider/engine/config\"\n")
	f("engine/protocol/smtpd/a_test.go", "package smtpd\n\nimport _ \"postrider/engine/protocol/transcript\"\nimport _ \"os\"\n")
	f("cmd/postrider/a.go", "package main\n\nimport \"postrider/storage/lsm\"\n\nvar x = lsm.Y\n")
	f("cmd/postrider/main.go", "package main\n\nimport _ \"postrider/cmd/postrider/queue\"\nimport _ \"postrider/cmd/postrider/uu\"\n")
	f("cmd/postrider/queue/a.go", "package queue\n\nimport _ \"postrider/cmd/postrider/queue/life\"\nimport _ \"postrider/cmd/postrider/workspace\"\nimport _ \"postrider/cmd/sysexits\"\nimport _ \"postrider/engine/front/admin\"\n")
	f("cmd/postrider/queue/a_test.go", "package queue\n\nimport _ \"postrider/cmd/postrider/accounts\"\nimport _ \"postrider/cmd/postrider/shelltest\"\n")
	f("storage/lsm/a.go", "package lsm\n\nimport \"github.com/cockroachdb/pebble/v2/vfs\"\n\nvar x = storage.NewReceipt(vfs.Y)\n")
	f("engine/a.go", "// One idea: the table.\npackage engine\n"+strings.Repeat("\n// x\n", 300))
	f("engine/mail/dkim/a.go", "package dkim\n\nvar x = disk.Rename\n")
	f("storage/lsm/syncdir.go", "package lsm\n\nvar x = fs.MkdirAll\n")
	f("engine/a.go", "package engine\n\ntype conn struct{}\n\nfunc (conn) Open() {}\n")
}
