package pop3

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestParse_Success(t *testing.T) {
	f := func(line string, want Command) {
		t.Helper()
		got, ok := Parse([]byte(line))
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", line, got, ok, want)
		}
	}
	b := func(s string) []byte { return []byte(s) }
	f("USER mrose", Command{Verb: USER, Name: b("mrose"), Number: None})
	f("user John Smith ", Command{Verb: USER, Name: b("John Smith"), Number: None})
	f("USER jürgen@exämple", Command{Verb: USER, Name: b("jürgen@exämple"), Number: None})
	f("PASS secret", Command{Verb: PASS, Password: b("secret"), Number: None})
	f("PASS  two  words ", Command{Verb: PASS, Password: b(" two  words "), Number: None})
	f("PASS \xe9t\xe9", Command{Verb: PASS, Password: b("\xe9t\xe9"), Number: None})
	f("APOP mrose c4c9334bac560ecc979e58001b3e22fb",
		Command{Verb: APOP, Name: b("mrose"), Digest: b("c4c9334bac560ecc979e58001b3e22fb"), Number: None})
	f("QUIT", Command{Verb: QUIT, Number: None})
	f("qUiT", Command{Verb: QUIT, Number: None})
	f("STAT", Command{Verb: STAT, Number: None})
	f("STAT  ", Command{Verb: STAT, Number: None})
	f("LIST", Command{Verb: LIST, Number: None})
	f("LIST 2", Command{Verb: LIST, Number: 2})
	f("UIDL 1 ", Command{Verb: UIDL, Number: 1})
	f("RETR 0", Command{Verb: RETR, Number: 0})
	f("RETR 4294967297", Command{Verb: RETR, Number: 4294967297})
	f("DELE 18446744073709551617", Command{Verb: DELE, Number: math.MaxInt})
	f("DELE 9223372036854775807", Command{Verb: DELE, Number: math.MaxInt})
	f("DELE 007", Command{Verb: DELE, Number: 7})
	f("TOP 1 0", Command{Verb: TOP, Number: 1})
	f("top 1 10", Command{Verb: TOP, Number: 1, Lines: 10})
	f("CAPA", Command{Verb: CAPA, Number: None})
	f("UTF8", Command{Verb: UTF8, Number: None})
	f("LANG", Command{Verb: LANG, Number: None})
	f("LANG *", Command{Verb: LANG, Tag: b("*"), Number: None})
	f("lang de-AT", Command{Verb: LANG, Tag: b("de-AT"), Number: None})
}

func TestParse_Failure(t *testing.T) {
	f := func(line string, want Verb) {
		t.Helper()
		got, ok := Parse([]byte(line))
		if ok || got.Verb != want {
			t.Errorf("Parse(%q) = %+v, %v; want an error of %q", line, got, ok, want)
		}
	}
	f("", Unknown)
	f(" ", Unknown)
	f(" STAT", Unknown)
	f("STA", Unknown)
	f("STATS", Unknown)
	f("\x00\x00\x00T", Unknown)
	f("XTOP 1 1", Unknown)
	f("EHLO mx.example", Unknown)
	f("USER", USER)
	f("USER ", USER)
	f("USER a\x00b", USER)
	f("USER a\tb", USER)
	f("USER a\rb", USER)
	f("USER \xff", USER)
	f("PASS", PASS)
	f("PASS ", PASS)
	f("PASS a\x00b", PASS)
	f("APOP mrose", APOP)
	f("APOP mrose c4c9334bac560ecc979e58001b3e22f", APOP)
	f("APOP mrose c4c9334bac560ecc979e58001b3e22fg", APOP)
	f("APOP  c4c9334bac560ecc979e58001b3e22fb", APOP)
	f("QUIT please", QUIT)
	f("QUIT\x00", Unknown)
	f("STAT 1", STAT)
	f("NOOP 1", NOOP)
	f("CAPA 1", CAPA)
	f("UTF8 USER", UTF8)
	f("LIST -1", LIST)
	f("LIST +1", LIST)
	f("LIST 1 2", LIST)
	f("LIST  1", LIST)
	f("LIST 1x", LIST)
	f("LIST 0x1", LIST)
	f("LIST \t1", LIST)
	f("LIST 1\r", LIST)
	f("UIDL a", UIDL)
	f("RETR", RETR)
	f("RETR one", RETR)
	f("RETR 1.0", RETR)
	f("RETR \xd9\xa1", RETR) // a digit, but not one of ours
	f("DELE", DELE)
	f("DELE 1 2", DELE)
	f("DELE 1,2", DELE)
	f("TOP", TOP)
	f("TOP 1", TOP)
	f("TOP 1 -1", TOP)
	f("TOP 1  1", TOP)
	f("TOP 1 1 1", TOP)
	f("TOP x 1", TOP)
	f("LANG de at", LANG)
	f("LANG \xff", LANG)
}

// slowParse is the twin of Parse: it splits strings.
func slowParse(line string) (verb, args string, ok bool) {
	keyword, rest, _ := strings.Cut(line, " ")
	for v := Verb(1); v < Verbs; v++ {
		if len(keyword) == len(v.String()) && strings.EqualFold(keyword, v.String()) && isASCII(keyword) {
			verb = v.String()
		}
	}
	if verb != "PASS" {
		rest = strings.TrimRight(rest, " ")
	}
	number := func(s string) bool {
		return s != "" && strings.Trim(s, "0123456789") == ""
	}
	switch verb {
	case "LIST", "UIDL":
		return verb, rest, rest == "" || number(rest)
	case "RETR", "DELE":
		return verb, rest, number(rest)
	case "TOP":
		f := strings.Split(rest, " ")
		return verb, rest, len(f) == 2 && number(f[0]) && number(f[1])
	case "QUIT", "STAT", "NOOP", "RSET", "CAPA", "UTF8", "STLS":
		return verb, rest, rest == ""
	case "AUTH": // its arguments are for package sasl to judge
		return verb, rest, true
	case "PASS":
		return verb, rest, rest != "" && !strings.Contains(rest, "\x00")
	}
	return verb, rest, false
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"USER a", "PASS  b ", "TOP 1 2", "LIST 4294967297", "quit", "retr 18446744073709551617", "LANG *", "STLS", "stls x", "AUTH", "AUTH PLAIN AGEAYg=="} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		verb, args, want := slowParse(line)
		c, ok := Parse([]byte(line))
		if c.Verb.String() != verb {
			t.Fatalf("Parse(%q): verb %v, want %v", line, c.Verb, verb)
		}
		switch c.Verb {
		case USER, APOP, LANG: // their grammar has no twin
			return
		case LIST, UIDL, RETR, DELE:
			if n, err := strconv.Atoi(args); ok && args != "" && err == nil && n != c.Number {
				t.Fatalf("Parse(%q): number %d, want %d", line, c.Number, n)
			}
		}
		if ok != want {
			t.Fatalf("Parse(%q) = %v, want %v", line, ok, want)
		}
	})
}

func TestAppend(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, []byte(want)) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(AppendOK([]byte("x")), "x+OK ")
	f(AppendErr(nil, NoCode), "-ERR ")
	f(AppendErr(nil, CodeInUse), "-ERR [IN-USE] ")
	f(AppendPair(nil, 2, 8589934592), "2 8589934592")
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"STAT", "RETR 12345", "TOP 12 10"} {
		b.Run(text, func(b *testing.B) {
			line := []byte(text)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(line)
			}
		})
	}
}
