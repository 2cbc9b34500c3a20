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

// A name in a removed domain that is a domain alias now is that of the removed account first,
// and then the name in the domain that the alias leads to.
func TestNamesInADomainThatIsAnAliasNow(t *testing.T) {
	shelltest.Both(t, func(s *shelltest.Shell) {
		number := func(address string) string {
			t.Helper()
			for _, line := range strings.Split(s.Want(0, "", "account list --removed"), "\n") {
				if words := strings.Fields(line); len(words) > 1 && words[1] == address {
					return words[0]
				}
			}
			t.Fatalf("%s is not removed", address)
			return ""
		}
		s.Want(0, "", "domain add gone.example")
		for _, name := range []string{"jdoe", "ann", "bob", "jdoe@gone.example", "ann@gone.example"} {
			s.Want(0, "secret1\n", "account add "+name+" --password-stdin")
		}
		s.Want(0, "", "account remove --yes jdoe jdoe@gone.example ann@gone.example bob")
		s.Want(0, "", "domain remove gone.example")
		s.Want(0, "", "domain alias gone.example a.example")

		s.Want(sysexits.CantCreate, "", "account undelete jdoe@gone.example", "the domain gone.example is an alias of a.example now", "--as")
		s.Want(0, "", "account undelete jdoe@gone.example --as jdoe.old", "jdoe.old@a.example is back")
		number("jdoe@a.example") // it is still removed
		s.Want(0, "", "account remove --yes jdoe.old")
		s.Want(0, "", "account undelete jdoe@gone.example", "jdoe@a.example is back") // by the alias
		s.Want(0, "", "account undelete bob@gone.example", "bob@a.example is back")
		s.Want(sysexits.NoUser, "", "account undelete bob@gone.example", "no removed account bob@gone.example is kept (")
		s.Want(0, "", "account remove bob@gone.example")
		s.Want(sysexits.NoUser, "", "account undelete jdoe@gone.example --number "+number("bob@a.example"), "no removed account jdoe@gone.example is kept with the number ")
		s.Want(0, "", "account undelete bob@gone.example --number "+number("bob@a.example"), "bob@a.example is back")

		s.Want(0, "", "account remove --now ann@gone.example", "the removed account ann@gone.example has 0 messages", "deleted the removed account ann@gone.example for good")
		s.Want(0, "", "account list ann", "ann@a.example")
		s.Want(0, "", "account remove ann@gone.example", "removed ann@a.example: until ")
		if out := s.Want(0, "", "account remove --now ann@gone.example ann"); strings.Count(out, "deleted the removed account ann@a.example for good") != 1 {
			t.Error(out)
		}
		s.Want(0, "", "account remove --now jdoe@gone.example", "removed jdoe@a.example for good")
		s.Want(0, "", "account list bob", "bob@a.example")
	}, AccountCommand, DomainCommand)
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
