package uu

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
)

// run runs a command in a folder of its own.
func run(t *testing.T, in string, args ...string) (out, said string, code sysexits.Code) {
	t.Helper()
	root := workspace.Root(&cobra.Command{Use: "postrider"}, EncodeCommand(), DecodeCommand())
	var o, e bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(in))
	root.SetOut(&o)
	root.SetErr(&e)
	if err := root.Execute(); err != nil {
		return o.String(), e.String() + err.Error(), workspace.ExitCode(err)
	}
	return o.String(), e.String(), 0
}

const catText = "Hello,\nbegin 4755 cat.txt\n#0V%T\n`\nend\n"

func TestUudecode(t *testing.T) {
	t.Chdir(t.TempDir())
	f := func(in string, code sysexits.Code, says string, args ...string) {
		t.Helper()
		if _, said, got := run(t, in, append([]string{"uudecode"}, args...)...); got != code || !strings.Contains(said, says) {
			t.Errorf("%q: exit code %d, %q; want %d, %q", args, got, said, code, says)
		}
	}
	want := func(file, octets string) {
		t.Helper()
		if got, err := os.ReadFile(file); err != nil || string(got) != octets {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	f(catText, 0, "")
	want("cat.txt", "Cat")
	if info, err := os.Stat("cat.txt"); err != nil || info.Mode() != 0o644 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	f(strings.Replace(catText, "#0V%T", "#1&]G", 1), sysexits.CantCreate, "cat.txt exists: use --force")
	want("cat.txt", "Cat")
	f(strings.Replace(catText, "#0V%T", "#1&]G", 1), 0, "", "--force")
	want("cat.txt", "Dog")

	if err := os.Mkdir("in", 0o700); err != nil {
		t.Fatal(err)
	}
	f(catText, 0, "", "-o", "in")
	want("in/cat.txt", "Cat")
	f(catText, 0, "", "-o", "in/other")
	want("in/other", "Cat")
	f(catText+strings.ReplaceAll(catText, "cat", "dog"), sysexits.Usage, "a second file, \"dog.txt\", can't be written to in/two too", "-o", "in/two")
	f(catText, 0, "", "-o", "/dev/stdout")
	if out, _, _ := run(t, catText, "uudecode", "-o", "/dev/stdout"); out != "Cat" {
		t.Errorf("at the standard output: %q", out)
	}

	f("nothing\n", sysexits.DataErr, "no line \"begin MODE NAME\"")
	f("begin 644 half\n#0V%T\n", sysexits.DataErr, "line 2: the text ends within the file \"half\"")
	f("begin 644 half\n#0v%T\n`\nend\n", sysexits.DataErr, "line 2: \"v%T\" is not a character of uuencode")
	f(catText, sysexits.NoInput, "nowhere", "nowhere")
	if err := os.Symlink("/nowhere/at/all", "link"); err != nil {
		t.Fatal(err)
	}
	f(strings.Replace(catText, "cat.txt", "link", 1), sysexits.CantCreate, "link exists")

	// Files of one name in the texts are numbered; one that was there is left alone.
	if err := os.WriteFile("in/a-2.b", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	two := "begin 644 a.b\n#0V%T\n`\nend\nbegin 644 x/a.b\n#1&]G\n`\nend\nbegin 644 a.b\n!80``\n`\nend\n"
	f(two, 0, "another \"a.b\" is made as \"in/a-4.b\"", "-o", "in")
	for file, octets := range map[string]string{"in/a.b": "Cat", "in/a-2.b": "old", "in/a-3.b": "Dog", "in/a-4.b": "a"} {
		want(file, octets)
	}
	f(two, sysexits.CantCreate, "in/a.b exists", "-o", "in")
	f(two, 0, "", "--force", "--repair", "-o", "in")
	want("in/a.b", "Cat")
	want("in/a-5.b", "Dog")

	left, err := filepath.Glob("*")
	if err != nil || strings.Join(left, " ") != "cat.txt in link" {
		t.Errorf("left in the folder: %q, %v", left, err)
	}
	if hidden, _ := filepath.Glob(".*"); len(hidden) > 0 {
		t.Errorf("left in the folder: %q", hidden)
	}
}

func TestUuencode(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("cat", []byte("Cat"), 0o640); err != nil {
		t.Fatal(err)
	}
	f := func(want, in string, args ...string) {
		t.Helper()
		if out, said, code := run(t, in, append([]string{"uuencode"}, args...)...); out != want || code != 0 {
			t.Errorf("%q: %q, %s", args, out, said)
		}
	}
	f("begin 640 cat.txt\n#0V%T\n`\nend\n", "", "cat", "cat.txt")
	f("begin 644 x\n#0V%T\n`\nend\n", "Cat", "x")
	f("begin 644 x\n\" $  \n \nend\n", "\x00@", "--space", "x")
	f("begin-base64 644 x\nQ2F0\n====\n", "Cat", "-m", "x")
	f("begin 644 x\n`\nend\n", "", "x")
	if _, said, code := run(t, "", "uuencode", "nowhere", "x"); code != sysexits.NoInput {
		t.Errorf("exit code %d, %s", code, said)
	}
}
