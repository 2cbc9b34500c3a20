package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/cmd/postrider/accounts"
	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

// Deleted mail comes back with its unique-ids; what is selected is listed first.
func TestUndelete(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		s.Want(0, "x\n", "account add u1 --password-stdin")
		s.Want(0, "", "undelete u1", "u1@a.example: 0 messages, 0 octets are back", "during the last 7d (storage.keep_deleted)")
		for _, name := range []string{"0", "1", "2"} {
			s.File("mail/a.example/u1/Maildir/cur/"+name+".host:2,S", message("m"+name))
		}
		s.File("mail/a.example/u1/Maildir/dovecot-uidlist", "3 V7 N4 Gabc\n1 :0.host:2,S\n2 :1.host:2,S\n3 PUID9-9 :2.host:2,S\n")
		tree := "import-tree " + filepath.Join(s.Dir, "mail") + " --journal " + filepath.Join(s.Dir, "journal")
		s.Want(0, "", tree, "3 messages")
		for _, name := range []string{"0", "1", "2"} {
			if err := os.Remove(filepath.Join(s.Dir, "mail/a.example/u1/Maildir/cur", name+".host:2,S")); err != nil {
				t.Fatal(err)
			}
		}
		s.Want(0, "", tree+" --again --delete-gone", "3 messages are not in their Maildirs any more and are deleted here")
		s.Want(0, "", "check", "0 messages, 0 queue entries, 3 deleted messages", ": 0 faults")
		s.Want(0, "", "undelete u1 --list", "KEPT UNTIL", "0000000100000007", "UID9-9")
		s.Want(0, "", "undelete u1 --since 2020-01-01 --dry-run", "u1@a.example: 3 messages, ", "would be back")
		s.Want(0, "", "undelete u1 --since 2099-01-01T00:00:00Z --dry-run", "u1@a.example: 0 messages, 0 octets would be back")
		s.Want(sysexits.NoInput, "", "undelete u1 --id UID9-9 --id none", "no deleted message of u1@a.example has the id none", "nothing was changed")
		s.Want(sysexits.Usage, "", "undelete u1 --since yesterday", `--since "yesterday": expected a time`)
		s.Want(sysexits.NoUser, "", "undelete nobody.here", "no account")
		s.Want(0, "", "undelete u1 --id UID9-9", "u1@a.example: 1 messages, ")
		var lines []deletedLine
		if err := json.Unmarshal([]byte(s.Want(0, "", "undelete u1 --since 1h --json")), &lines); err != nil {
			t.Fatal(err)
		}
		if len(lines) != 2 || !lines[0].Undeleted || lines[0].UIDL != "0000000100000007" || lines[0].Until.Sub(lines[0].Deleted) != 7*24*time.Hour {
			t.Errorf("%+v", lines)
		}
		s.Want(0, "", "check", "3 messages, 0 queue entries, 0 deleted messages", ": 0 faults")
		out := filepath.Join(s.Dir, "out")
		s.Want(0, "", "export u1 --format text --raw --out "+out, "u1@a.example: 3 messages")
		text := read(t, filepath.Join(out, "U1.TXT"))
		for _, want := range []string{"UIDL: 0000000100000007\n", "UIDL: 0000000200000007\n", "UIDL: UID9-9\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s", want, text)
			}
		}
	}, UndeleteCommand, ImportTreeCommand, CheckCommand, ExportCommand, accounts.AccountCommand)
}
