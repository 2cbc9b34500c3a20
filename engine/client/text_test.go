package client

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := Printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	f("größer 犬", "größer 犬")
	f("a\x1b[31mb\x07", "a\ufffd[31mb\ufffd")
	f("two\r\nlines\tand", "two  lines and")
	f("\u202egpj.exe", "\ufffdgpj.exe")
	f("\u0085\u009b2J", "\ufffd\ufffd2J")
	f("👩\u200d🚀", "👩\u200d🚀")
	f("\xff\xfe", "\ufffd\ufffd")
}

// Whatever comes, cut anywhere, a terminal gets characters, tabs and line ends only.
func FuzzTerminal(f *testing.F) {
	f.Add([]byte("a\r\nb\x1b]0;x\x07\xc3\xa4\xe2\x80\xae"), uint8(3))
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		whole := terminal(text)
		var out bytes.Buffer
		w := NewTerminal(&out)
		for rest := text; len(rest) > 0; {
			n := min(int(cut%7)+1, len(rest))
			_, _ = w.Write(bytes.Clone(rest[:n]))
			rest = rest[n:]
		}
		_ = w.Close()
		if out.String() != whole {
			t.Errorf("cut: %q, whole: %q", out.String(), whole)
		}
		if !utf8.ValidString(whole) || whole != "" && !strings.HasSuffix(whole, "\n") {
			t.Errorf("%q", whole)
		}
		for _, r := range whole {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069) {
				t.Errorf("%q has %U", whole, r)
			}
		}
	})
}

func terminal(text []byte) string {
	var out strings.Builder
	w := NewTerminal(&out)
	_, _ = w.Write(text)
	_ = w.Close()
	return out.String()
}
