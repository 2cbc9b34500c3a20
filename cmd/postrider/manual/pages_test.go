package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue"
	"postrider/cmd/postrider/sendmail"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/postrider/workspace"
	"postrider/engine/config"
)

// tree is a program with commands of each kind: alone, in a group, with options of
// another kind.
func tree() *cobra.Command {
	return workspace.Root(&cobra.Command{Use: "postrider", Short: "A mail server: SMTP in", Long: "Takes mail.\n\nGives it out."},
		queue.Command(), queue.PostsuperCommand(), sendmail.Command(sendmail.Others{}), Command())
}

// rendered is a page as man shows it, without a warning.
func rendered(t *testing.T, page string) string {
	t.Helper()
	if _, err := exec.LookPath("groff"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs the Debian package groff-base")
		}
		t.Skip("needs the Debian package groff-base")
	}
	cmd := exec.Command("groff", "-man", "-Tutf8", "-P-cbou", "-ww", "-rLL=200n")
	cmd.Stdin = strings.NewReader(page)
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("%v %s\n%s", err, &warnings, page)
	}
	return strings.NewReplacer("‐", "-", "−", "-").Replace(string(out))
}

// Each command has a page with what its --help says, and each key has its place.
func TestPages(t *testing.T) {
	pages := Pages(tree())
	want := func(page string, texts ...string) {
		t.Helper()
		shown := rendered(t, pages[page])
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				t.Errorf("%s: no %q in\n%s", page, text, shown)
			}
		}
	}
	want("postrider.1", "postrider - a mail server: SMTP in", "Takes mail.", "COMMANDS", "postsuper", "postrider-queue(1), postrider-sendmail(1)", "postrider.toml(5)")
	want("postrider-queue.1", "SYNOPSIS", "postrider queue hold (ID... | ALL | - | FLAGS) [OPTION...]",
		"       --to-domain STRING", "       --held ", "entries from this address; '<>': notifications", "jq -r .queue_id")
	want("postrider-postsuper.1", "  -d ID    delete the message without notifying its sender\n", "-h, --hold ID\n", "-v, --verbose\n", "awk '/MAILER-DAEMON/ {print $1}'")
	want("postrider-sendmail.1", "They are described above.", "  -t            take recipients from To, Cc and Bcc too; Bcc is removed\n")
	var keys []string
	for _, k := range config.Default().Keys() {
		keys = append(keys, "\n       "+k.Base()+" = ")
	}
	want("postrider.toml.5", append(keys, "[smtp]", "Allowed: ", "Option: --smtp.", "hostname = the name of the host")...)
	restarts := 0
	for _, k := range config.Default().Keys() {
		if k.NeedsRestart() {
			restarts++
		}
	}
	if got := strings.Count(pages["postrider.toml.5"], "A change needs a restart."); got != restarts || restarts == 0 {
		t.Errorf("%d keys of the page need a restart, want %d", got, restarts)
	}
	for name := range pages {
		if strings.Contains(name, "man.") || strings.Contains(name, "completion") {
			t.Errorf("%s: a page of a command that is not for people", name)
		}
	}
}

// No text of help is taken for a command of the format.
func TestTextIsText(t *testing.T) {
	var r roff
	r.title("x", "1", "0", "y")
	r.text(".SH no heading\n'br no break\n\\fBno bold\n\n  .nf\n  a  b   c\n\nafter 'the' `block` -x ^ ~ \"q\"")
	r.item(`--a "b" \c`, "")
	out := rendered(t, r.String())
	for _, want := range []string{".SH no heading 'br no break \\fBno bold\n", "  .nf\n", "  a  b   c\n", "after 'the' `block` -x ^ ~ \"q\"", `--a "b" \c`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCommand(t *testing.T) {
	s := shelltest.Bare(t, Command, queue.MailqCommand)
	dir := filepath.Join(s.Dir, "new", "man")
	s.Want(0, "", "man "+dir, "3 manual pages in "+dir)
	if text, err := os.ReadFile(filepath.Join(dir, "postrider-mailq.1")); err != nil || !strings.HasPrefix(string(text), `.TH "POSTRIDER\-MAILQ" "1"`) {
		t.Errorf("%v %.60q", err, text)
	}
	s.Want(73, "", "man "+s.File("file", "x"), "not a directory")
}
