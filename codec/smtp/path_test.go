package smtp

import (
	"bytes"
	"strings"
	"testing"
)

const everything = ExtSize | Ext8BitMIME | ExtBinaryMIME | ExtDSN | ExtSMTPUTF8

func TestParseRcpt_Success(t *testing.T) {
	f := func(arg, local, domain, written string) {
		t.Helper()
		r, refused := ParseRcpt([]byte(arg), everything, true)
		if refused != nil {
			t.Errorf("%s: refused: %s", arg, refused)
			return
		}
		if string(r.To.Local()) != local || string(r.To.Domain()) != domain || r.To.String() != written {
			t.Errorf("%s: got %q at %q, written %s; want %q at %q, %s", arg, r.To.Local(), r.To.Domain(), r.To, local, domain, written)
		}
	}
	f("TO:<a@b.example>", "a", "b.example", "a@b.example")
	f("to: a@b.example", "a", "b.example", "a@b.example")
	f(`TO:<"alice"@B.example.>`, "alice", "B.example", "alice@B.example")
	f(`TO:<"a b"@c>`, "a b", "c", `"a b"@c`)
	f(`TO:<"a\b\"\\"@c>`, `ab"\`, "c", `"ab\"\\"@c`)
	f(`TO:<"\a"@c>`, "a", "c", "a@c")
	f(`TO:<"a> b"@c> NOTIFY=NEVER`, "a> b", "c", `"a> b"@c`)
	f("TO:<@x.example,@y.example:a@b>", "a", "b", "a@b")
	f("TO:<Postmaster>", "Postmaster", "", "Postmaster")
	f("TO:<a@[IPv6:::1]>", "a", "[IPv6:::1]", "a@[IPv6:::1]")
	f("TO:<ü@ü.example>", "ü", "ü.example", "ü@ü.example")
	f("TO:<joe%b@c>", "joe%b", "c", "joe%b@c")
	f("TO:<ta.ro..@phone.example>", "ta.ro..", "phone.example", `"ta.ro.."@phone.example`)
	f("TO:<.hana@phone.example>", ".hana", "phone.example", `".hana"@phone.example`)
	f("TO:ji..ro@phone.example NOTIFY=NEVER", "ji..ro", "phone.example", `"ji..ro"@phone.example`)
	f("TO:<.@c>", ".", "c", `"."@c`)
	f(`TO:<"ta..ro"@c>`, "ta..ro", "c", `"ta..ro"@c`)
	long := "srs0+abcd=" + strings.Repeat("x", 200) + "=origin.example=token"
	f("TO:<"+long+"@b>", long, "b", long+"@b")
}

func TestParseRcpt_Failure(t *testing.T) {
	f := func(arg string, code string) {
		t.Helper()
		_, refused := ParseRcpt([]byte(arg), everything, false)
		if refused == nil || !strings.HasPrefix(refused.String(), code) {
			t.Errorf("%q: got %v, want %s", arg, refused, code)
		}
	}
	f("", "501 5.5.4")
	f("FROM:<a@b>", "501 5.5.4")
	f("TO:", "501 5.1.3")
	f("TO:<>", "501 5.1.3")
	f("TO:<a>", "501 5.1.3")
	f("TO:<a@b", "501 5.1.3")
	f("TO:<a@b>x", "501 5.1.3")
	f("TO:<ü@b>", "501 5.1.3")
	f("TO:<a\r@b>", "501 5.1.3")
	f("TO:<a@b\x00>", "501 5.1.3")
	f("TO:<@x.example,@[192.0.2.1]:a@b>", "501 5.1.3")
	f("TO:<a@b> X=1", "555 5.5.4")
	f("TO:<a@b> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4")
	f("TO:<a@"+strings.Repeat("a", 64)+">", "501 5.1.3")
	f("TO:<"+strings.Repeat("a", 253)+"@b>", "501 5.1.3")
	f("TO:<"+strings.Repeat("a", 249)+"..@b>", "501 5.1.3") // with its quotes too long to come back
	f("TO:<a..b", "501 5.1.3")
	f("TO:<a..b>", "501 5.1.3")
	f("TO:<a.(b@c>", "501 5.1.3")
}

func TestParseMail_Failure(t *testing.T) {
	f := func(arg string, offered Extensions, code string) {
		t.Helper()
		_, refused := ParseMail([]byte(arg), offered)
		if refused == nil || !strings.HasPrefix(refused.String(), code) {
			t.Errorf("%q: got %v, want %s", arg, refused, code)
		}
	}
	f("FROM:<a@b> SIZE=1", 0, "555 5.5.4")
	f("FROM:<a@b> BODY=8BITMIME", everything&^Ext8BitMIME, "555 5.5.4")
	f("FROM:<a@b> BODY=BINARYMIME", everything&^ExtBinaryMIME, "501 5.5.4")
	f("FROM:<a@b> SIZE=1x", everything, "501 5.5.4")
	f("FROM:<ü@b>", everything, "501 5.1.7")
	f("FROM:<a>", everything, "501 5.1.7")
	f("FROM:<a..b>", everything, "501 5.1.7")
	f("FROM:<"+strings.Repeat(".", 251)+"@b>", everything, "501 5.1.7")
}

// A sender that MAIL takes can be written to: RCPT takes what String gives.
func TestEverySenderCanBeWrittenTo(t *testing.T) {
	for _, from := range []string{strings.Repeat("v", 250) + "@b", strings.Repeat(".", 250) + "@b", "a..b@c", `"` + strings.Repeat(`\"`, 124) + `"@b`} {
		m, refused := ParseMail([]byte("FROM:<"+from+">"), everything)
		if refused != nil {
			t.Errorf("%s: refused: %s", from, refused)
			continue
		}
		if _, refused := ParseRcpt([]byte("TO:<"+m.From.String()+">"), 0, true); refused != nil {
			t.Errorf("%s: the way back is refused: %s", from, refused)
		}
	}
}

func TestParseDecimalDoesNotWrap(t *testing.T) {
	f := func(s string, want int64, ok bool) {
		t.Helper()
		if got, good := parseDecimal([]byte(s)); got != want || good != ok {
			t.Errorf("%q: got %d %t, want %d %t", s, got, good, want, ok)
		}
	}
	f("0", 0, true)
	f("9223372036854775806", 1<<63-2, true)
	f("9223372036854775807", 1<<63-1, true)
	f("9223372036854775808", 1<<63-1, true)
	f("18446744073709551617", 1<<63-1, true)
	f("99999999999999999999", 1<<63-1, true)
	f("100000000000000000000", 0, false)
	f("", 0, false)
	f("+1", 0, false)
	f("1 ", 0, false)
}

func TestKeep(t *testing.T) {
	line := []byte(`TO:<"a b"@c.example>`)
	r, _ := ParseRcpt(line, 0, false)
	kept, _ := r.To.Keep(nil)
	clear(line)
	if kept.String() != `"a b"@c.example` {
		t.Errorf("the path that was kept became %q", kept)
	}
}

func TestReplyLinesAreShortAndClean(t *testing.T) {
	r := Reply{Code: 250, Enhanced: "2.1.0"}
	for _, text := range []string{strings.Repeat("x", 600), strings.Repeat("ü", 300), "a\r\n550 b\x00\x7f", ""} {
		for _, line := range [][]byte{(&Reply{Code: 250, Enhanced: "2.1.0", Text: text}).AppendTo(nil), r.AppendMore([]byte("before\r\n"), text)[8:]} {
			body, ended := bytes.CutSuffix(line, []byte("\r\n"))
			if !ended || len(line) > MaxReplyLine || bytes.ContainsAny(body, "\r\n\x00\x7f") || !bytes.Equal(body, bytes.ToValidUTF8(body, nil)) {
				t.Errorf("%.40q gives the line %q", text, line)
			}
		}
	}
}

func TestXtext(t *testing.T) {
	if got := string(AppendXtext(nil, []byte("a+b=c d\xff"))); got != "a+2Bb+3Dc+20d+FF" {
		t.Errorf("encoded %s", got)
	}
	if got := string(AppendXtextDecoded(nil, []byte("a+2Bb+3Dc+20d+0D+0Ax"))); got != "a+b=c d??x" {
		t.Errorf("decoded %q", got)
	}
}

// FuzzPath: a path that was taken comes back the same from what AppendTo wrote,
// fits the limits, and has no control octets.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<a@b>", `<"a\"b"@c>`, "<@x:a@b.c.>", "a@[192.0.2.1]", "<Postmaster>", "<ü@é.x>", `<""@x>`, "<>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		r, refused := ParseRcpt(append([]byte("TO:"), path...), everything, true)
		if refused != nil {
			return
		}
		written := r.To.AppendTo([]byte("TO:<"))
		if len(written) > len("TO:<")+maxPath || bytes.ContainsAny(written, "\x00\r\n\x7f\x1b") || !bytes.Equal(written, bytes.ToValidUTF8(written, nil)) {
			t.Fatalf("%q is written as %q", path, written)
		}
		again, refused := ParseRcpt(append(written, '>'), everything, true)
		if refused != nil || !bytes.Equal(again.To.Local(), r.To.Local()) || !bytes.Equal(again.To.Domain(), r.To.Domain()) {
			t.Fatalf("%q is written as %q, which is %q at %q (%v)", path, written, again.To.Local(), again.To.Domain(), refused)
		}
	})
}

// FuzzXtext: decode∘encode is the identity on printable ASCII, and what is
// encoded is xtext.
func FuzzXtext(f *testing.F) {
	f.Add([]byte("a+b=c"))
	f.Fuzz(func(t *testing.T, v []byte) {
		x := AppendXtext(nil, v)
		if !isXtext(x) {
			t.Fatalf("%q is not xtext", x)
		}
		for _, c := range v {
			if c < ' ' || c > '~' {
				return
			}
		}
		if got := AppendXtextDecoded(nil, x); !bytes.Equal(got, v) {
			t.Fatalf("%q came back as %q", v, got)
		}
	})
}
