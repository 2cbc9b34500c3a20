package accounts

import (
	"strings"
	"testing"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

func TestARemovedAccountIsUndeleted(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		s.Want(0, "secret1\n", "account add alice --password-stdin --quota 1GiB")
		s.Want(0, "", "account expire alice 90d", "alice@a.example: mail expires after 90d")
		s.Want(0, "", "account remove alice", "alice@a.example has 0 messages, 0 octets",
			"removed alice@a.example: until ", `"postrider account undelete alice@a.example" brings it back`)
		s.Want(0, "", "account list --removed", "alice@a.example", "KEPT UNTIL")
		if out := s.Want(0, "", "account list"); strings.Contains(out, "alice") {
			t.Error(out)
		}
		s.Want(0, "secret2\n", "account add alice --password-stdin")
		s.Want(sysexits.CantCreate, "", "account undelete alice", "the account alice@a.example exists already", "--as")
		s.Want(sysexits.NoUser, "", "account undelete alice --as x@far.example", "the domain far.example is not ours")
		s.Want(0, "", "account remove alice")
		out := s.Want(0, "", "account list --removed --json", `"number": `)
		if strings.Count(out, `"address": "alice@a.example"`) != 2 {
			t.Error(out)
		}
		s.Want(0, "", "account undelete alice --as alice.new", "alice.new@a.example is back with 0 messages, 0 octets")
		s.Want(0, "", "account list", "alice.new@a.example", "-")
		s.Want(0, "", "account undelete alice", "alice@a.example is back") // the first one
		s.Want(0, "", "account list alice", "1GiB", "90d")
		s.Want(sysexits.NoUser, "", "account undelete alice", "no removed account alice is kept", "account list --removed")

		s.Want(0, "", "account remove --now alice", "removed alice@a.example for good")
		s.Want(sysexits.NoUser, "", "account undelete alice")
		s.Want(0, "", "account remove alice.new")
		s.Want(sysexits.NoUser, "", "account undelete alice.new --number 4711")
		s.Want(0, "", "account remove --now alice.new", "the removed account alice.new@a.example has 0 messages", "deleted the removed account alice.new@a.example for good")
		s.Want(sysexits.NoUser, "", "account remove --now alice.new", "no account alice.new@a.example")
		if out := s.Want(0, "", "account list --removed --json"); strings.TrimSpace(out) != "[]" {
			t.Error(out)
		}
	}, AccountCommand)
}

func TestAccountExpire(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		s.Want(0, "secret1\n", "account add alice --password-stdin")
		s.Want(0, "", "account expire alice", "alice@a.example: mail stays for ever (pop3.expire)")
		s.Want(0, "", "account expire alice never", "alice@a.example: mail stays for ever")
		s.Want(0, "", "account expire alice 720h", "alice@a.example: mail expires after 30d")
		s.Want(0, "", "account list --json", `"expire": "30d"`)
		s.Want(0, "", "account expire alice default", "(pop3.expire)")
		for _, bad := range []string{"0", "0d", "12h", "25h", "soon", "40000d", "99999999d"} {
			s.Want(sysexits.Usage, "", "account expire alice "+bad, "expected days (90d)")
		}
		s.Want(sysexits.NoUser, "", "account expire nobody.here 3d")
		s.Want(sysexits.Usage, "", "account expire")
	}, AccountCommand)
}
