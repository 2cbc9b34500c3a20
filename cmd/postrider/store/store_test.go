package store

import (
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
		for _, name := range []string{"alice", "bob"} {
			s.Want(0, "x\n", "account add "+name+" --password-stdin")
		}
		box := "From a@b Sun Nov 22 20:00:00 2026\nSubject: one\n\nhello\n.dot\n>From here\n\n" +
			"From a@b Sun Nov 22 20:00:01 2026\nSubject: two\n\n" + strings.Repeat("0123456789abcdef\n", 20000) + "\n"
		path := s.File("in.mbox", box)
		s.Want(0, "", "import alice --format mbox "+path, "alice@a.example: 2 messages")
		for _, format := range []string{"mbox", "maildir", "eml", "text --raw"} {
			out := filepath.Join(s.Dir, strings.ReplaceAll(format, " ", "")+".out")
			said := s.Want(0, "", "export alice --format "+format+" --out "+out, "alice@a.example: 2 messages")
			name := strings.TrimSpace(said[strings.LastIndex(said, " in ")+4:])
			s.Want(0, "", "import bob --format "+format+" "+filepath.Join(out, name), "bob@a.example: 2 messages")
		}
		all := filepath.Join(s.Dir, "all.out")
		s.Want(0, "", "export --all --format mbox --out "+all, "bob@a.example: 8 messages")
		files, err := filepath.Glob(filepath.Join(all, "*"))
		if err != nil || len(files) != 2 {
			t.Fatalf("%v %v", files, err)
		}
		one, _ := os.ReadFile(files[0])
		four, _ := os.ReadFile(files[1])
		_, messages, _ := strings.Cut(string(one), "\n")
		if got := strings.Count(string(four), "Subject: one\n\nhello\n.dot\n>From here\n"); got != 4 || !strings.Contains(messages, "hello") {
			t.Errorf("%d of 4 copies are the same", got)
		}
		s.Want(0, "", "check", "2 accounts, 10 messages", ": 0 faults")
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
