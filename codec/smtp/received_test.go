package smtp

import (
	"errors"
	"strings"
	"testing"
)

func TestParseReply_Success(t *testing.T) {
	f := func(src string, code int, enhanced string, lines ...string) {
		t.Helper()
		for cut := range len(src) {
			if _, n, err := ParseReply([]byte(src[:cut]), 200); n != 0 || err != nil {
				t.Errorf("%q: %d octets, %v", src[:cut], n, err)
			}
		}
		r, n, err := ParseReply([]byte(src+"250 next\r\n"), 200)
		var got []string
		for line := range r.Lines() {
			got = append(got, string(line))
		}
		if err != nil || n != len(src) || r.Code != code || string(r.Enhanced()) != enhanced || strings.Join(got, "|") != strings.Join(lines, "|") {
			t.Errorf("%q: got %d %q %q, %d octets, %v", src, r.Code, r.Enhanced(), got, n, err)
		}
	}
	f("250 2.1.0 ok\r\n", 250, "2.1.0", "2.1.0 ok")
	f("250-a\r\n250-b c\r\n250 SIZE 10\r\n", 250, "", "a", "b c", "SIZE 10")
	f("354\r\n", 354, "", "")
	f("250-\r\n250\r\n", 250, "", "", "")
	f("221 bye\n", 221, "", "bye")
	f("550 5.1.1\r\n", 550, "5.1.1", "5.1.1")
	f("550-5.7.1 a\r\n550 5.7.26 b\r\n", 550, "5.7.26", "5.7.1 a", "5.7.26 b")
	f("550 4.1.1 x\r\n", 550, "", "4.1.1 x")
	f("220 1.2.3.4 ESMTP\r\n", 220, "", "1.2.3.4 ESMTP")
	f("550 5..1 x\r\n", 550, "", "5..1 x")
	// The last line's code counts, and lines without a code are text.
	f("250-a\r\n251 b\r\n", 251, "", "a", "b")
	f("550-5.2.1 shut\r\n450 4.2.1 try later\r\n", 450, "4.2.1", "5.2.1 shut", "4.2.1 try later")
	f("250-4.0.0 x\r\n554-5.7.1 blocked\r\n554 see\r\n", 554, "5.7.1", "4.0.0 x", "5.7.1 blocked", "see")
	f("220-mx\r\n\r\n  be nice\r\nWelcome 2 all\r\n220 go\r\n", 220, "", "mx", "go")
	f("550-5.1.1 no\n2500 users, none of them this\n650 x\n123 y\n550x\n550 end\n", 550, "5.1.1", "5.1.1 no", "end")
	f("\r\n\t\r\n 250 x\r\n354 go\r\n", 354, "", "go")
	f("\n221\n", 221, "", "")
}

func TestParseReply_Failure(t *testing.T) {
	f := func(src string, want error) {
		t.Helper()
		if _, n, err := ParseReply([]byte(src), 50); n != 0 || !errors.Is(err, want) {
			t.Errorf("%q: %d octets, %v; want %v", src, n, err, want)
		}
	}
	f("25 x\r\n", ErrReplySyntax)
	f("HTTP/1.1 400 Bad Request\r\n", ErrReplySyntax)
	f("250_a\r\n", ErrReplySyntax)
	f("650 a\r\n", ErrReplySyntax)
	f("\r\n\r\nSSH-2.0-x\r\n", ErrReplySyntax)
	f("\rx\r\n250 a\r\n", ErrReplySyntax)
	f(" "+strings.Repeat("\r\n", 30), ErrReplyLength)
	f("250-a\r\n"+strings.Repeat("more\r\n", 9), ErrReplyLength)
	f("250 "+strings.Repeat("x", 60), ErrReplyLength)
	f("250 "+strings.Repeat("x", 60)+"\r\n", ErrReplyLength)
	f(strings.Repeat("250-x\r\n", 9), ErrReplyLength)
}

func TestAppendText(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		r, n, err := ParseReply([]byte(src), 200)
		if got := string(r.AppendText([]byte("x"))); err != nil || n != len(src) || got != "x"+want {
			t.Errorf("%q: got %q, %v; want %q", src, got, err, want)
		}
	}
	f("250 2.1.0 ok \r\n", "250 2.1.0 ok")
	f("550-5.7.1 one\r\n550 5.7.1 two\n", "550-5.7.1 one 550 5.7.1 two")
	f("354\r\n", "354")
	f("\r\n550-over\r\n  quota,\r\n\r\nask \r\n452 later\r\n", "550-over quota, ask 452 later")
	f(" see\r\n\r\n\tthere\r\n552-a\r\n552 b\r\n", "552-a 552 b see there")
	f("250 a\x00\x1b[2Jb\rc\x7f\u009b\xff\u00fc\r\n", "250 a??[2Jb?c???\u00fc")
	f("550 \u202etxt.exe\u202c \u2066a\u2069\r\n", "550 ?txt.exe? ?a?")
	f("550 \ufeffx\u200by\u00adz \u2028\u2029 \U000e0041\r\n", "550 ?x?y?z ?? ?")
	f("550 \u6f22 \ufffd \u0301\r\n", "550 \u6f22 \ufffd \u0301")
}

// A caller that gets a line in pieces sees the limit before the end of the line.
func TestParseReply_LimitBeforeSyntax(t *testing.T) {
	src := "250-" + strings.Repeat("x", 36) + "\r\n?" + strings.Repeat("y", 30) + "\r\n"
	if _, _, err := ParseReply([]byte(src), 50); !errors.Is(err, ErrReplyLength) {
		t.Errorf("whole: %v", err)
	}
	if _, _, err := ParseReply([]byte(src[:50]), 50); !errors.Is(err, ErrReplyLength) {
		t.Errorf("the first 50 octets: %v", err)
	}
}

func TestIsFiller(t *testing.T) {
	f := func(src string, want bool) {
		t.Helper()
		if got := IsFiller([]byte(src)); got != want {
			t.Errorf("%q: %t", src, got)
		}
	}
	f("", true)
	f("\r", true)
	f("\r\n\n \r\n\tx", true)
	f("\r\n250 ok\r\n", false)
	f("2", false)
	f("\rx", false)
}

// slowReply is ParseReply, line by line and without limits.
func slowReply(src []byte) (code, n int, ok bool) {
	begun := false
	for line := range strings.Lines(string(src)) {
		if !strings.HasSuffix(line, "\n") {
			return 0, 0, true
		}
		n += len(line)
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		head := len(line) >= 3 && strings.ContainsRune("2345", rune(line[0])) && isDigit(line[1]) && isDigit(line[2])
		switch {
		case head && (len(line) == 3 || line[3] == ' '):
			code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
			return code, n, true
		case head && line[3] == '-':
			begun = true
		case !begun && strings.TrimLeft(line, " \t") == line && line != "":
			return 0, 0, false
		}
	}
	return 0, 0, true
}

// FuzzParseReply_Slow: the parser agrees with a slow one.
func FuzzParseReply_Slow(f *testing.F) {
	f.Add([]byte("250-a\r\n\r\nx\r\n550 2.0.0 b\r\n"))
	f.Add([]byte("\r\n 1\n25"))
	f.Fuzz(func(t *testing.T, src []byte) {
		r, n, err := ParseReply(src, len(src)+1)
		code, m, ok := slowReply(src)
		if r.Code != code || n != m || (err == nil) != ok {
			t.Fatalf("%q: %d, %d octets, %v; want %d, %d, %t", src, r.Code, n, err, code, m, ok)
		}
	})
}

// FuzzParseReply: no panic, and a reply is found the same with anything after it.
func FuzzParseReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 2.0.0 b\r\n"), []byte("x"))
	f.Fuzz(func(t *testing.T, src, behind []byte) {
		r, n, err := ParseReply(src, 1000)
		if err != nil || n == 0 {
			return
		}
		more, m, err := ParseReply(append(src[:n:n], behind...), 1000)
		if err != nil || m != n || more.Code != r.Code || string(more.Enhanced()) != string(r.Enhanced()) {
			t.Fatalf("%q: %d octets and %d, %v", src, n, m, err)
		}
	})
}
