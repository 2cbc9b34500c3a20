package incoming

import (
	"errors"
	"net/mail"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postrider/storage"
)

func TestParseList_Success(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		got, err := ParseList(in)
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	f("")
	f(" , ,")
	f("root", "root")
	f("a@b.example", "a@b.example")
	f("a@b.example,c", "a@b.example", "c")
	f("Alice A. <a@b.example>, \"B, C\" <c@d.example>", "a@b.example", "c@d.example")
	f("a@b.example (Alice (the \\) first), really), c@d", "a@b.example", "c@d")
	f("a @ b . example", "a@b.example")
	f("\"a b\"@c.example, \"x\\\"y,\"@z", `"a b"@c.example`, `"x\"y,"@z`)
	f("friends: a@b, c@d; e@f", "a@b", "c@d", "e@f")
	f("undisclosed-recipients:;")
	f("undisclosed-recipients:;, a@b", "a@b")
	f("<a@b>", "a@b")
	f("< a@b >", "a@b")
	f("=?utf-8?q?J=C3=BCrgen?= <j@b>", "j@b")
	f("j@[192.0.2.1], k@[IPv6:2001:db8::1]", "j@[192.0.2.1]", "k@[IPv6:2001:db8::1]")
	f("<@a.example,@b.example:c@d.example>", "@a.example,@b.example:c@d.example")
}

func TestParseList_Failure(t *testing.T) {
	f := func(in string, why error) {
		t.Helper()
		if got, err := ParseList(in); !errors.Is(err, why) || !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	f("a b", errBetween)
	f("a@b c@d", errBetween)
	f("<a@b> c@d", errBetween)
	f("<a@b> <c@d>", errBetween)
	f("<a@b>: c@d", errBetween)
	f("a@b Bcc: c@d", errBetween)
	f("<a b@c>", errBetween)
	f("<>", errEmpty)
	f("a (b", errClose)
	f("a <b", errClose)
	f("\"a", errClose)
	f("a@[1", errClose)
	f("a (\\", errClose)
}

// ParseRecipient and reversePath accept what RCPT and MAIL accept, and nothing else.
func TestPaths(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		p, err := ParseRecipient(in, "def.example")
		if got := p.String(); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	f("Alice", "Alice@def.example")
	f(`"a@b"`, `"a@b"@def.example`)
	f("a@B.example.", "a@B.example")
	f("@a.example:b@c.example", "b@c.example")
	f("jürgen@b.example", "jürgen@b.example")
	f("ta..ro.@phone.example", `"ta..ro."@phone.example`)
	long := strings.Repeat("token=", 30)
	f(long+"@lists.example", long+"@lists.example")
	for _, bad := range []string{"", "a@", "@b", "a.,b@c", "a> NOTIFY=NEVER", "a@b> ", "a@b>\r\nDATA", "a\x00b", "a\xffb@c", "a@-b", "a@[300.1.1.1]", strings.Repeat("a", 255)} {
		f(bad, "")
	}
	for in, want := range map[string]string{"": "", "root": "root@def.example", "A@b.example": "A@b.example", ".ha..na@phone.example": `".ha..na"@phone.example`, long: long + "@def.example"} {
		if p, err := reversePath(in, "def.example"); err != nil || p.String() != want {
			t.Errorf("%q: %q %v", in, p, err)
		}
	}
	if _, err := reversePath("a@b> SIZE=1 <", "def.example"); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
}

// agree compares ParseList with net/mail: a list that net/mail reads has the same addresses.
func agree(t interface{ Fatalf(string, ...any) }, in string) {
	want, err := mail.ParseAddressList(in)
	if err != nil {
		return
	}
	got, err := ParseList(in)
	if err != nil {
		t.Fatalf("%q: %v, but net/mail reads %v", in, err, want)
	}
	if len(got) != len(want) {
		t.Fatalf("%q: %q, net/mail %v", in, got, want)
	}
	for i, a := range got {
		path, err := ParseRecipient(a, "def.example")
		if err != nil {
			continue // net/mail accepts addresses that are no paths: control characters, long names
		}
		if text := string(path.Local()) + "@" + string(path.Domain()); text != strings.TrimSuffix(want[i].Address, ".") {
			t.Fatalf("%q: %q, net/mail %q", in, text, want[i].Address)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"a@b, C D <e@f>", `"x, y" <a@b>`, "g: a@b, c@d;, e@f", "(c) a@b (d)", `"a b"@c`, "a @ b", "<a@b>,<c@d>", "a.b@c.d", "Joe Q. Public <john.q.public@example.com>", "\"a\\\"b\"@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) { agree(t, in) })
}

// ParseList and net/mail read any list of plain parts in the same way.
func TestParseListAgreesWithNetMail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			address := rapid.StringMatching(`[a-z]{1,3}(\.[a-z]{1,2})?@[a-z]{1,3}\.example`).Draw(t, "address")
			if rapid.Bool().Draw(t, "quoted") {
				address = `"` + rapid.StringMatching(`[a-z ,<>()@:;.]{1,6}`).Draw(t, "local") + `"@q.example`
			}
			name := rapid.SampledFrom([]string{"", "Al ", `"B, C" `, "D (e, f) ", "=?utf-8?q?g?= "}).Draw(t, "name")
			if name != "" || rapid.Bool().Draw(t, "angle") {
				address = name + "<" + address + ">"
			}
			parts = append(parts, address)
		}
		in := strings.Join(parts, rapid.SampledFrom([]string{",", ", ", " ,\t"}).Draw(t, "between"))
		if _, err := mail.ParseAddressList(in); err != nil {
			t.Fatalf("net/mail does not read %q: %v", in, err)
		}
		agree(t, in)
	})
}

// readList reads the entries after one that it can't read.
func TestReadList(t *testing.T) {
	f := func(in, found, bad string) {
		t.Helper()
		ok, no := readList(in)
		if strings.Join(ok, "|") != found || strings.Join(no, "|") != bad {
			t.Errorf("%q: %q and %q, want %q and %q", in, ok, no, found, bad)
		}
	}
	f("", "", "")
	f("a@b, c d, e@f", "a@b|e@f", "c d")
	f("c d", "", "c d")
	f("c@d e@f; g", "g", "c@d e@f")
	f("Al <a@b> x, <c@d>", "a@b|c@d", "Al <a@b> x")
	f(`a, "open, b@x`, "a|b@x", `"open`)
	f("(open, b@x, c", "b@x|c", "(open")
	f("a, <b@x, c@y", "a", "<b@x, c@y")
	f("<>, a", "a", "<>")
	f("friends: a b, c@d;, e@[1, f", "c@d|f", "friends: a b|e@[1")
	f("a b@c", "", "a b@c")
}

// unreadable returns no path, and nothing that ends a line.
func TestUnreadable(t *testing.T) {
	for in, want := range map[string]string{
		"a b@c": "a b@c", "": "not an address: ", "alice> NOTIFY=NEVER": "alice? NOTIFY=NEVER", "a\r\nb c": "a??b c",
		"<alice@here>": "?alice@here?", "bob": "not an address: bob", "\xff \xfe": "? ?",
		strings.Repeat("é ", 200): strings.Repeat("é ", 66) + "é...",
	} {
		got := unreadable(in)
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if _, err := ParseRecipient(got, "x.example"); err == nil {
			t.Errorf("%q: %q is a path", in, got)
		}
	}
}
