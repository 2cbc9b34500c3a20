package hypertext

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

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
