package useragent

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
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

func TestPlainText(t *testing.T) {
	f := func(page, want string) {
		t.Helper()
		got, err := io.ReadAll(PlainText(strings.NewReader(page)))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q %v, want %q", page, got, err, want)
		}
	}
	f("", "")
	f("one\n two&nbsp;&amp;lt;", "one two\u00a0&lt;\n")
	f("<html><head><title>x</title><style>p{}</style></head><body><p>Hi <b>you</b>,</p><p>bye</body></html>", "Hi you,\n\nbye\n")
	f("a<br>b<br><br>c<script>alert(1)</script>", "a\nb\n\nc\n")
	f("<ul><li>x<li>y</ul>z", "* x\n* y\n\nz\n")
	f(`see <a href="https://example.org/a">here</a>, <a href="javascript:x()">there</a>`, "see here <https://example.org/a>, there\n")
	f("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n\n")
	f("<pre>a  b\n c</pre>d", "a  b\n c\nd\n")
}

func TestPlainText_endless(t *testing.T) {
	got, err := io.ReadAll(PlainText(strings.NewReader("<p>a<b " + strings.Repeat("x", maxToken+1))))
	if err != nil || !strings.HasPrefix(string(got), "a\n[The rest") {
		t.Errorf("%.100q %v", got, err)
	}
	if _, err := io.ReadAll(PlainText(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF {
		t.Errorf("a page that can't be read: %v", err)
	}
}

// Whatever the page, it ends, and does not grow beyond measure.
func FuzzPlainText(f *testing.F) {
	f.Add("<p>a<li><pre>b</pre><a href=http://x>c</a><br><svg>")
	f.Add("</pre></script></a><table><td>")
	f.Fuzz(func(t *testing.T, page string) {
		text, err := io.ReadAll(PlainText(strings.NewReader(page)))
		if err != nil || len(text) > 4*len(page)+100 {
			t.Errorf("%q: %d octets, %v", page, len(text), err)
		}
	})
}
