package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

func both(t *testing.T, f func(*shelltest.Shell)) {
	t.Helper()
	shelltest.Both(t, f, ExportCommand, ImportCommand, CheckCommand, accounts.AccountCommand)
}

func TestExportAndImportKeepEveryOctet(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		box := "From a@b Sun Nov 22 20:00:00 2026\nSubject: one\n\nhello\n.dot\n>From here\n\n" +
			"From a@b Sun Nov 22 20:00:01 2026\nSubject: two\n\n" + strings.Repeat("0123456789abcdef\n", 20000) + "\n"
		path := s.File("in.mbox", box)
		s.Want(0, "", "import alice --format mbox "+path, "alice@a.example: 2 messages")
		for i, format := range []string{"mbox", "maildir", "eml", "text --raw"} {
			out := filepath.Join(s.Dir, strings.ReplaceAll(format, " ", "")+".out")
			said := s.Want(0, "", "export alice --format "+format+" --out "+out, "alice@a.example: 2 messages")
			name := strings.TrimSpace(said[strings.LastIndex(said, " in ")+4:])
			bob := fmt.Sprintf("bob%d", i)
			s.Want(0, "x\n", "account add "+bob+" --password-stdin")
			again := "import " + bob + " --format " + format + " " + filepath.Join(out, name)
			s.Want(0, "", again, bob+"@a.example: 2 messages")
			if format != "mbox" { // the others have the unique-ids
				s.Want(0, "", again, bob+"@a.example: 2 messages are in the maildrop already", ": 0 messages")
			}
		}
		all := filepath.Join(s.Dir, "all.out")
		s.Want(0, "", "export --all --format mbox --out "+all, "bob3@a.example: 2 messages")
		files, err := filepath.Glob(filepath.Join(all, "*"))
		if err != nil || len(files) != 5 {
			t.Fatalf("%v %v", files, err)
		}
		for _, file := range files {
			text, _ := os.ReadFile(file)
			if strings.Count(string(text), "Subject: one\n\nhello\n.dot\n>From here\n") != 1 {
				t.Errorf("%s: %.300q", file, text)
			}
		}
		s.Want(0, "", "check", "5 accounts, 10 messages", ": 0 faults")
		s.Want(0, "", "check --json", `"faults": []`)
		s.Want(sysexits.Usage, "", "export alice --format frob --out "+all)
		s.Want(sysexits.Usage, "", "export --format mbox --out "+all, "--all")
		s.Want(sysexits.Usage, "", "export alice --format mbox", "--out")
		s.Want(sysexits.NoUser, "", "export nobody --format mbox --out "+all)
		s.Want(sysexits.NoInput, "", "import alice --format mbox "+filepath.Join(s.Dir, "none"))
		if _, code := s.Run("", "export alice --format mbox --out "+all); code == 0 {
			t.Error("an older export was overwritten")
		}
		s.Want(0, "", "export alice --format mbox --overwrite --out "+all)
	})
}
