package router

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAddress_Success(t *testing.T) {
	f := func(in, local, domain string) {
		t.Helper()
		l, d, err := ParseAddress(in, "def.example")
		if l != local || d != domain || err != nil {
			t.Errorf("%q: %q %q %v", in, l, d, err)
		}
	}
	f("Alice", "alice", "def.example")
	f(" alice@B.example. ", "alice", "b.example")
	f("c++@b.example", "c++", "b.example")
	f(`"a b"@b.example`, "a b", "b.example")
	f(`"a@b"`, "a@b", "def.example")
	f("@b.example", "", "b.example")
	f("jürgen@Bücherei.example", "jürgen", "xn--bcherei-n2a.example")
	f("zoe\u0308@cafe\u0301.example", "zoë", "xn--caf-dma.example")
}

func TestParseAddress_Failure(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if _, _, err := ParseAddress(in, "def.example"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", in, err)
		}
	}
	f("alice@", "no domain")
	f("a b@c", "quotes")
	f("<alice@b.example>", "quotes")
	f("a@b@c", "quotes")
	f("a\x00b@c", "control")
	f("a\xffb@c", "UTF-8")
	f(strings.Repeat("a", 65), "longer")
	f("a@b..c", "not a domain")
	f("a@-b", "not a domain")
	f("a@[127.0.0.1]", "IP address")
	f("a@127.0.0.1", "IP address")
	f("a@ a b.example", "not a domain")
	f("a@"+strings.Repeat("é", 62)+".example", "A-labels")
	f("a@\uff20é.example", "A-labels")
}

func TestParseMailboxKeepsCase(t *testing.T) {
	f := func(in, local, domain string) {
		t.Helper()
		if l, d, err := ParseMailbox(in, "def.example"); l != local || d != domain || err != nil {
			t.Errorf("%q: %q %q %v", in, l, d, err)
		}
	}
	long := strings.Repeat("Tok", 60)
	f("Re+Ply.Q7xK@Desk.Example", "Re+Ply.Q7xK", "desk.example")
	f(long+"@desk.example", long, "desk.example")
	f("ta..ro@Phone.example", "ta..ro", "phone.example")
	if _, _, err := ParseMailbox(strings.Repeat("a", 250)+"@b.example", ""); err == nil {
		t.Error("a mailbox over the limit of paths was taken")
	}
}

// What Mailbox writes, cut reads.
func TestMailboxRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[a-z "\\@.+]{1,12}`).Draw(t, "local")
		l, d := cut(Mailbox(local, "b.example"))
		if l != local || d != "b.example" {
			t.Fatalf("%q: %q %q", Mailbox(local, "b.example"), l, d)
		}
		if l, d = cut(Mailbox(local, "")); l != local || d != "" {
			t.Fatalf("%q: %q %q", Mailbox(local, ""), l, d)
		}
	})
}
