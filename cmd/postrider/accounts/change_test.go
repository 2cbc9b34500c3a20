package accounts

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"postrider/cmd/postrider/shelltest"
	"postrider/cmd/sysexits"
)

func TestDisableAndEnable(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "alice:x\nbob:x\n", "account import -")
		s.Want(0, "", "account disable alice bob", "disabled alice@a.example: mail for it is taken", "disabled bob@a.example")
		s.Want(0, "", "account list --disabled alice*", "disabled")
		s.Want(0, "", "account disable --refuse-mail alice", "mail for it is refused")
		s.Want(0, "", "account list --json --disabled a*", `"refuses_mail": true`, `"login": false`)
		s.Want(0, "", "account enable alice bob", "enabled alice@a.example", "enabled bob@a.example")
		if out := s.Want(0, "", "account list --disabled --json"); out != "[]\n" {
			t.Error(out)
		}
		s.Want(sysexits.NoUser, "", "account disable carol", "no account carol")
		s.Want(sysexits.NoUser, "", "account enable carol", "no account carol")
	})
}

func TestRename(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "", "domain add b.example")
		s.Want(0, "alice:x\nbob:x\n", "account import -")
		s.Want(0, "", "alias add team alice bob")
		s.Want(sysexits.CantCreate, "", "account rename alice bob", "exists already")
		s.Want(sysexits.CantCreate, "", "account rename alice team", "is an alias")
		s.Want(sysexits.DataErr, "", "account rename alice ALICE@A.example", "that name already")
		s.Want(sysexits.NoUser, "", "account rename alice x@far.example", "far.example is not ours")
		s.Want(0, "", "account rename alice carol@b.example", "renamed alice@a.example to carol@b.example", "still in the alias team@a.example")
		s.Want(0, "", "account list", "carol@b.example")
		s.Want(0, "", "account rename bob robert --alias", "renamed bob@a.example to robert@a.example")
		s.Want(0, "", "route bob", "maildrop robert@a.example")
		s.Want(0, "", "alias add robert robert x@far.example")
		s.Want(sysexits.CantCreate, "", "account rename robert rob --alias", "is an alias too")
		s.Want(0, "", "account rename robert rob", "renamed")
		s.Want(0, "", "check", " 0 faults")
	})
}

func TestQuota(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "secret\n", "account add alice --password-stdin --quota 2MiB --max-messages 100")
		s.Want(0, "bob:x\n", "account import -")
		s.Want(0, "", "account quota alice", "alice@a.example: 0 of 2097152 octets (0 %), 0 of 100 messages (0 %)")
		s.Want(0, "", "account quota alice bob --quota 1GB", "0 of 1000000000 octets (0 %), 0 of 100 messages", "bob@a.example: 0 of 1000000000 octets (0 %), 0 messages, no limit")
		s.Want(0, "", "account quota alice --quota 0 --max-messages 0", "0 octets, no limit, 0 messages, no limit")
		s.Want(0, "", "account list bob", "1000000000 (0 %)")
		s.Want(0, "", "account list --over 1 --json", "[]")
		s.Want(sysexits.Usage, "", "account quota alice --quota much", "--quota much", "KiB")
		s.Want(sysexits.Usage, "", "account quota alice --quota=-5", "negative")
		s.Want(sysexits.NoUser, "", "account quota carol", "no account carol")
		s.Want(0, "", "domain quota a.example --quota 5GiB", "a.example: 0 of 5368709120 octets (0 %), 0 messages, no limit")
		s.Want(0, "", "domain quota A.Example", "0 of 5368709120 octets")
		s.Want(0, "", "domain list --json", `"quota": 5368709120`)
		s.Want(sysexits.NoUser, "", "domain quota far.example --quota 1", "not ours")
	})
}

func TestDomainAlias(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "alice:x\n", "account import -")
		s.Want(0, "", "domain alias New.Example a.example", "new.example is an alias of a.example")
		s.Want(0, "", "domain list", "a.example\nnew.example (alias of a.example)\n")
		s.Want(0, "", "domain list --json", `"alias_of": "a.example"`)
		s.Want(0, "", "route alice@new.example", "maildrop alice@a.example")
		s.Want(sysexits.CantCreate, "", "domain alias new.example a.example", "is an alias of a.example already")
		s.Want(sysexits.CantCreate, "", "domain add new.example", "exists")
		s.Want(sysexits.DataErr, "", "domain alias c.example new.example", "alias itself, of a.example")
		s.Want(sysexits.NoUser, "", "domain alias c.example far.example", "not ours")
		s.Want(sysexits.DataErr, "", "domain quota new.example", "the quota is that of a.example")
		s.Want(0, "", "domain add d.example")
		s.Want(sysexits.CantCreate, "", "domain alias d.example a.example", "a domain of its own")
		// A name in the alias is the name in the domain.
		s.Want(0, "secret\n", "account add bob@new.example --password-stdin", "added bob@a.example")
		s.Want(0, "carol@new.example:x\n", "account import -", "added 1")
		s.Want(0, "", "account list", "carol@a.example")
		s.Want(0, "", "account disable carol@new.example", "disabled carol@a.example")
		s.Want(0, "", "alias add team@new.example carol@new.example x@far.example", "team@a.example: ")
		s.Want(0, "", "route team@a.example", "maildrop carol@a.example")
		s.Want(0, "", "check", " 0 faults")
		s.Want(0, "", "domain remove new.example", "removed new.example")
		s.Want(0, "", "route alice@new.example", "MX")
	})
}

func TestRemoveSaysHowMuch(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "alice:x\nbob:x\n", "account import -")
		s.Want(0, "", "account remove alice alice bob --yes", "alice@a.example has 0 messages, 0 octets", "removed alice@a.example", "removed bob@a.example")
		s.Want(0, "carol:x\n", "account import -")
		s.Want(sysexits.NoUser, "", "account remove carol nobody", "no account nobody")
		s.Want(0, "", "account list", "carol@a.example") // nothing is removed before all are found
	})
}

func TestListFilters(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		s.Want(0, "", "domain add b.example")
		s.Want(0, "alice:x\nbob@b.example:x\n", "account import -")
		s.Want(0, "secret\n", "account add Anna --password-stdin --apop")
		f := func(flags string, want ...string) {
			t.Helper()
			var lines []accountLine
			if err := json.Unmarshal([]byte(s.Want(0, "", "account list --json "+flags)), &lines); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range lines {
				got = append(got, l.Name)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %q, want %q", flags, got, want)
			}
		}
		f("", "alice", "anna", "bob")
		f("--domain B.Example", "bob")
		f("A*@a.example", "alice", "anna")
		f("bob al?ce", "alice", "bob")
		f("*@b.example --apop")
		f("--apop", "anna")
		f("--no-scram", "alice", "bob") // imported: the verifier comes with the first login
		s.Want(0, "carl:x\n", "account import - --scram")
		f("--no-scram", "alice", "bob")
		f("--no-password")
		f("--idle 1d")
		f("--idle 0s", "alice", "anna", "carl", "bob")
		s.Want(sysexits.Usage, "", "account list --idle soon", "--idle soon", "5d")
		s.Want(sysexits.Usage, "", "account list [", "pattern")
		s.Want(sysexits.Usage, "", "account list --domain a..b", "--domain")
	})
}

func TestPasswordRules(t *testing.T) {
	s := shelltest.New(t, AccountCommand)                       // a running server has its own rules
	s.Want(0, "secret\n", "account add alice --password-stdin") // makes the store
	list := s.File("refused", "hunter2hunter2\n")
	s.Config = s.File("rules.toml", strings.NewReplacer("min_password = 1", "min_password = 10\nrefused_passwords = \""+list+"\"").Replace(s.Read(s.Config)))
	for word, want := range map[string]string{"short": "5 characters", "Hunter2Hunter2": "refused", "alice@a.example": "name of the account"} {
		s.Want(sysexits.DataErr, word+"\n", "account passwd alice --password-stdin", want, "nothing was changed")
	}
	s.Want(0, "long enough\n", "account passwd alice --password-stdin", "changed")
	s.Want(sysexits.DataErr, "short\n", "account add bob --password-stdin", "auth.min_password")
	s.Want(sysexits.DataErr, "carol:hunter2hunter2\ndave:long enough\nerin:short\n", "account import -", "-:1: ", "-:3: ", "nothing was added")
	s.Want(0, "erin:short\n", "account import - --any-password", "added 1")
	s.Config = s.File("gone.toml", strings.Replace(s.Read(s.Config), list, list+"-gone", 1))
	s.Want(sysexits.NoInput, "long enough\n", "account passwd alice --password-stdin", "auth.refused_passwords")
}

// Lines of /etc/shadow are imported with their hashes, whatever crypt(3) made; hashes of
// other kinds are refused, never taken for passwords.
func TestImportOfShadow(t *testing.T) {
	both(t, func(s *shelltest.Shell) {
		shadow := s.File("shadow", "root:!:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"+
			"alice:$y$j9T$saltsalt$VuCHcCYYVuebTL.IxzSml3z./71e36sys.wEb95cM54:19000:0:99999:7:::\n"+
			"bob:$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1:19000::::::\n")
		s.Want(0, "", "account import "+shadow, "added 2 accounts", "passed over users without a password: 2, from root to daemon")
		s.Want(0, "", "account list --no-scram", "alice@a.example", "bob@a.example")
		s.Want(sysexits.DataErr, "carol:$1$abcdefgh$0123456789012345678901:19000:0:99999:7:::\n", "account import -", "-:1: ", "$1$", "nothing was added")
	})
}
