package message

import (
	"fmt"
	"strings"
	"testing"
)

// listed is an address list as Mailboxes reads it: name<address> with " | " between.
func listed(value string) string {
	var words []string
	for _, m := range Mailboxes(value) {
		words = append(words, m.Name+"<"+m.Address+">")
	}
	return strings.Join(words, " | ")
}

func TestMailboxes(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		if got := listed(value); got != want {
			t.Errorf("%q\n gives %s\n want  %s", value, got, want)
		}
	}
	f("", "")
	f(" ,; ,", "")
	f("uwe@u.example", "<uwe@u.example>")
	f("Uwe <uwe@u.example>, Vera V. <vera@v.example>", "Uwe<uwe@u.example> | Vera V.<vera@v.example>")
	// One entry that is none leaves the others alone.
	f("uwe@u.example, the whole floor, Vera <vera@v.example>", "<uwe@u.example> | the whole floor<> | Vera<vera@v.example>")
	f("uwe@u.example <uwe@u.example>; vera@v.example", "uwe@u.example<uwe@u.example> | <vera@v.example>")
	f("Dr. Uwe Ungar, M.A. <uwe@u.example>", "Dr. Uwe Ungar<> | M.A.<uwe@u.example>")
	f("u..we@u.example, .v.@v.example", "<u..we@u.example> | <.v.@v.example>")
	f("J\xf6rg <j@j.example>, uwe@u.example", "J\xf6rg<j@j.example> | <uwe@u.example>")
	f("root, <jsmith>", "root<> | <jsmith>")
	// Angle brackets that are too many, too few, or around too much.
	f("<<uwe@u.example>>, Vera < vera@v.example >", "<uwe@u.example> | Vera<vera@v.example>")
	f("<uwe@u.example>>, x@x.example", "<uwe@u.example> | <x@x.example>")
	f("Uwe <uwe@u.example, Vera <vera@v.example>", "Uwe<uwe@u.example> | Vera<vera@v.example>")
	f("Uwe <uwe@u.example> Vera <vera@v.example>", "Uwe<uwe@u.example> | Vera<vera@v.example>")
	f("uwe@u.example vera@v.example", "<uwe@u.example> | <vera@v.example>")
	f("Uwe <Ungar <uwe@u.example>", "Uwe Ungar<uwe@u.example>")
	f("Uwe <>, <>", "Uwe<>")
	// Routes, schemes and blanks.
	f("<@r.example,@s.example:uwe@u.example>, Vera <@r.example:vera@v.example>", "<uwe@u.example> | Vera<vera@v.example>")
	f("<mailto:uwe@u.example>, MAILTO:vera@v.example, <mailto:x@x.example?subject=y>", "<uwe@u.example> | <vera@v.example> | <x@x.example>")
	f("uwe @ u.example (Uwe), <vera @ v.example>", "Uwe<uwe@u.example> | <vera@v.example>")
	f("'uwe@u.example' <uwe@u.example>, 'vera@v.example'", "'uwe@u.example'<uwe@u.example> | <vera@v.example>")
	// Quotes and comments.
	f(`"Ungar; Uwe, (boss) <x>" <uwe@u.example>, "v\"@\\" <vera@v.example>`, `Ungar; Uwe, (boss) <x><uwe@u.example> | v"@\<vera@v.example>`)
	f(`"uwe ungar"@u.example, <"v>era"@v.example>`, `<"uwe ungar"@u.example> | <"v>era"@v.example>`)
	f("uwe@u.example (Uwe (the, elder); <x@x.example>), vera@v.example (no \\) end)", "Uwe (the, elder); <x@x.example><uwe@u.example> | no \\) end<vera@v.example>")
	f(`"Uwe <uwe@u.example>, Vera <vera@v.example>`, "Uwe<uwe@u.example> | Vera<vera@v.example>")
	f(`"Uwe <uwe@u.example>, "Vera" <vera@v.example>`, "Uwe<uwe@u.example> | Vera<vera@v.example>")
	f("Uwe (here <uwe@u.example>, vera@v.example", "Uwe (here<uwe@u.example> | <vera@v.example>")
	// Groups.
	f("undisclosed-recipients:;", "")
	f("Team: uwe@u.example, Vera <vera@v.example>;, x@x.example", "<uwe@u.example> | Vera<vera@v.example> | <x@x.example>")
	f("A:;B: uwe@u.example", "<uwe@u.example>")
	f("uwe@[IPv6:2001:db8::1], vera@v.example", "<uwe@[IPv6:2001:db8::1]> | <vera@v.example>")
	// Encoded words may have what an atom has not.
	f("=?utf-8?Q?Ungar,_Uwe?= <uwe@u.example>, =?x?B?YQ==?= =?x?q?b:c?= <v@v.example>", "=?utf-8?Q?Ungar,_Uwe?=<uwe@u.example> | =?x?B?YQ==?= =?x?q?b:c?=<v@v.example>")
}

// The work of reading a list grows as the list does, whatever is in it.
func TestMailboxes_LinearWork(t *testing.T) {
	work := func(value string) int {
		s := listScanner{text: value, odd: strings.Count(value, `"`)%2 == 1}
		for s.at < len(s.text) {
			s.token()
		}
		s.endEntry()
		return s.looked
	}
	for _, piece := range []string{"<", "(", `"`, `"\`, "((a)", "=?", "=?a?q?", "<@a,", "a@b,", "a:", `"a>,`, `<"`, "(\\", "a <b> ", `""`, "@ ", "<a,", `"" @`} {
		const n = 10_000
		one, two, four := work(strings.Repeat(piece, n)), work(strings.Repeat(piece, 2*n)), work(strings.Repeat(piece, 4*n))
		if two > 2*one+200 || four > 2*two+200 || one > 12*n*len(piece) {
			t.Errorf("%q: %d, %d, %d octets are looked at", piece, one, two, four)
		}
	}
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "N%d <a%d@x.example>, ", i, i)
	}
	if list := Mailboxes(b.String()); len(list) != 100_000 || list[99_999] != (Mailbox{"N99999", "a99999@x.example"}) {
		t.Errorf("%d mailboxes", len(list))
	}
}

// A list that is joined of others has all of theirs.
func FuzzMailboxes(f *testing.F) {
	for _, s := range []string{`"a, b" <c@d>`, "a (b (c)) @d", "<@a,@b:c@d>", `g: "x"@y, <z;`, "=?u?q?a,?= <b@c>>", `"`, "(", "mailto:a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list := Mailboxes(value)
		if len(list) > len(value)+1 {
			t.Fatalf("%d mailboxes in %d octets", len(list), len(value))
		}
		if strings.ContainsAny(value, `"(<:=\`) {
			return
		}
		if got := Mailboxes(value + ",zoe@z.example"); len(got) != len(list)+1 || got[len(list)].Address != "zoe@z.example" {
			t.Errorf("%q and one more: %v", value, got)
		}
	})
}
