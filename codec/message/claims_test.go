package message

import (
	"net/mail"
	"slices"
	"strings"
	"testing"
)

func TestClaims(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		if got := strings.Join(Claims(value, 50), " "); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	f("", "")
	f("Foo Bar", "")
	f("a@x.test", "a@x.test")
	f("Ann <a@x.test>", "a@x.test")
	f(`"c@x.test" <a@x.test>`, "a@x.test")
	f(`"c@x.test, and more" <a@x.test> (c@x.test)`, "a@x.test")
	f(`"a b"@x.test`, `"a b"@x.test`)
	f("a@x.test, C <c@x.test>", "a@x.test c@x.test")
	f("team: a@x.test, c@x.test;", "a@x.test c@x.test")
	f("a @ x.test (Ann)", "a@x.test")
	f("<@r.test,@s.test:a@x.test>", "a@x.test")
	// What breaks the rules: whatever a reader may take for an address counts.
	f("c@x.test <a@x.test>", "a@x.test c@x.test")
	f("=?x?q?<c@x.test>?= a@x.test", "=?x?q?<c@x.test?= a@x.test c@x.test")
	f("=?x?q?c@x.test,?= <a@x.test>", "a@x.test =?x?q?c@x.test")
	f("<a@x.test><c@x.test>", "a@x.test c@x.test")
	f("<a@x.test> c@x.test", "a@x.test c@x.test")
	f(`"c@x.test <a@x.test>`, "a@x.test c@x.test")
	f(`(c@x.test <a@x.test>`, "a@x.test c@x.test")
	f(`"a" c@x.test "<a@x.test>`, "a@x.test c@x.test")
}

// However many there are, the work and the result are bounded.
func TestClaims_Growth(t *testing.T) {
	list := strings.Repeat("a@x.test, ", 1000)
	for i := range 1000 {
		list += strings.Repeat("b", i%50) + "@" + strings.Repeat("c", i/50+1) + ".test,"
	}
	if got := Claims(list, 20); len(got) != 21 {
		t.Errorf("%d claims", len(got))
	}
}

// What net/mail reads as an address is among the claims.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{"a@b", `"x, y" <a@b>`, "g: a@b, c@d;", "(c) a@b (d)", "a @ b", "=?x?q?<c@x>?= <a@b>", `"a\" <c@d> " <e@f>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := Claims(value, 1000)
		for _, m := range Mailboxes(value) {
			if m.Address != "" && len(got) <= 1000 && !slices.Contains(got, m.Address) {
				t.Errorf("%q: %q of Mailboxes is not in %q", value, m.Address, got)
			}
		}
		list, err := mail.ParseAddressList(value)
		if err != nil || len(got) > 1000 {
			return
		}
		for _, a := range list {
			local, domain, _ := strings.Cut(a.Address, "@")
			if !isDotAtom(local) || strings.ContainsFunc(domain, notOfNames) {
				continue // net/mail takes the quotes off it; no such domain can exist
			}
			same := func(c string) bool { return strings.EqualFold(unquoted(c), a.Address) }
			if !slices.ContainsFunc(got, same) {
				t.Errorf("%q: %q of net/mail is not in %q", value, a.Address, got)
			}
		}
	})
}

func isDotAtom(local string) bool {
	for _, c := range []byte(local) {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-/=?^_`{|}~.", rune(c)) {
			return false
		}
	}
	return local != ""
}

// unquoted is an address without quotes around its local part: "y"@b and y@b are one
// mailbox (RFC 5321 section 4.1.2), and net/mail returns the second.
func unquoted(address string) string {
	local, domain, ok := strings.Cut(address, "\"@")
	if ok && strings.HasPrefix(local, `"`) && isDotAtom(local[1:]) {
		return local[1:] + "@" + domain
	}
	return address
}

// notOfNames reports whether r can't be in the name of a domain.
func notOfNames(r rune) bool {
	return r < 0x80 && r != '.' && r != '-' && !('0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
}
