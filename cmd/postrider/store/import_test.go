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

func importing(t *testing.T, f func(*shelltest.Shell)) {
	t.Helper()
	shelltest.Both(t, f, ImportCommand, ImportTreeCommand, PullCommand, CheckCommand, ExportCommand, accounts.AccountCommand)
}

// read is the text of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// message is a message of a Maildir.
func message(subject string) string { return "Subject: " + subject + "\n\nhello\n" }

// A tree is imported; another run finds nothing to do, and --again the mail that is new.
func TestImportTree(t *testing.T) {
	importing(t, func(s *shelltest.Shell) {
		for i := range 5 {
			if i < 4 {
				s.Want(0, "x\n", fmt.Sprintf("account add u%d --password-stdin", i))
			}
			for n := range 3 {
				s.File(fmt.Sprintf("mail/a.example/u%d/Maildir/cur/%d.host:2,S", i, n), message(fmt.Sprint("m", n)))
			}
			s.File(fmt.Sprintf("mail/a.example/u%d/Maildir/dovecot-uidlist", i), "3 V7 N4 Gabc\n1 :0.host:2,S\n2 :1.host:2,S\n3 PUID9-9 :2.host:2,S\n")
		}
		root, journal := filepath.Join(s.Dir, "mail"), filepath.Join(s.Dir, "journal")
		tree := "import-tree " + root + " --journal " + journal
		s.Want(0, "", tree+" --report "+filepath.Join(s.Dir, "report"), "4 Maildirs, 12 messages, ", "; 1 are left", "1 Maildir has no account here and is skipped: a.example/u4/Maildir")
		s.Want(0, "", tree, "0 Maildirs, 0 messages, ", "4 Maildirs were imported before")
		s.Want(0, "", "import u1 --format maildir "+filepath.Join(root, "a.example/u1/Maildir"), "3 messages are in the maildrop already and are skipped")
		s.Want(0, "x\n", "account add u4 --password-stdin")
		s.File("mail/a.example/u0/Maildir/new/3.host", message("new"))
		s.Want(0, "", tree+" --again", "5 Maildirs, 4 messages, ")
		out := filepath.Join(s.Dir, "out")
		s.Want(0, "", "export u0 --format text --raw --out "+out, "u0@a.example: 4 messages")
		text := read(t, filepath.Join(out, "U0.TXT"))
		for _, want := range []string{"UIDL: 0000000100000007\n", "UIDL: 0000000200000007\n", "UIDL: UID9-9\n", "UIDL: 3.host\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s", want, text)
			}
		}
		gone := filepath.Join(root, "a.example/u1/Maildir/cur/")
		for _, name := range []string{"0.host:2,S", "2.host:2,S"} {
			if err := os.Remove(filepath.Join(gone, name)); err != nil {
				t.Fatal(err)
			}
		}
		s.Want(0, "", tree+" --again", "5 Maildirs, 0 messages, ")
		s.Want(0, "", "check", "16 messages", ": 0 faults")
		s.Want(0, "", tree+" --again --delete-gone", "5 Maildirs, 0 messages, ", "2 messages are not in their Maildirs any more and are deleted here")
		s.Want(0, "", "export u1 --format maildir --out "+out, "u1@a.example: 1 messages")
		if list := read(t, filepath.Join(out, "u1.maildir", "dovecot-uidlist")); !strings.Contains(list, "\n1 P0000000200000007 :") {
			t.Errorf("what is left of u1 is %s", list)
		}
		s.Want(0, "", "check", "14 messages", ": 0 faults")
	})
}

// Wrong command lines, and files that can't be used, tell what to do.
func TestImportTellsWhatIsWrong(t *testing.T) {
	importing(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add alice --password-stdin")
		s.File("mail/alice/cur/1", message("one"))
		s.File("mail/alice/dovecot-uidlist", "?\n")
		root := filepath.Join(s.Dir, "mail")
		tree := "import-tree " + root + " --journal " + filepath.Join(s.Dir, "journal") + " --pattern %n"
		s.Want(sysexits.Usage, "", "import-tree "+root+" --pattern %d", "neither %n nor %u")
		s.Want(sysexits.Usage, "", tree+" --parallel 65", "1 to 64")
		s.Want(sysexits.Usage, "", tree+" --delete-gone", "needs --again")
		s.Want(sysexits.Usage, "", tree+" --again --delete-gone --x-uidl", "does not go with")
		s.Want(sysexits.Usage, "", tree+" --uidl-format %v", "the same unique-id")
		s.Want(sysexits.NoInput, "", "import-tree "+filepath.Join(s.Dir, "none"))
		s.Want(sysexits.DataErr, "", tree, "0 Maildirs, 0 messages", "1 Maildir could not be imported: alice:", "repair it, or move it away")
		s.Want(sysexits.DataErr, "", "import alice --format maildir "+filepath.Join(root, "alice"), "dovecot-uidlist: line 1")
		s.Want(sysexits.CantCreate, "", strings.Replace(tree, "%n", "%u", 1), "another import")
		s.Want(sysexits.NoInput, "", "import alice --format mbox --uidl-map "+filepath.Join(s.Dir, "none")+" x")
		s.Want(sysexits.DataErr, "", "import alice --format mbox --uidl-map "+filepath.Join(root, "alice/cur/1")+" x", "line 3: expected a key")
		s.Want(sysexits.Usage, "", "pull alice", "--from HOST:PORT")
		s.Want(sysexits.Usage, "", "pull alice --from pop.example --user a", "HOST:PORT")
		s.Want(sysexits.NoUser, "", "pull bob --from 127.0.0.1:1 --user a --password-stdin")
		s.Want(sysexits.Unavailable, "x\n", "pull alice --from 127.0.0.1:1 --security none --user a --password-stdin", "127.0.0.1:1")
	})
}
