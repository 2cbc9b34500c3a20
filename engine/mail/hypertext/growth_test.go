package hypertext

import (
	"io"
	"strings"
	"testing"

	"postrider/codec/growth"
)

// A page is read in one pass: elements that are never closed, tags and comments without an
// end, attributes and style sheets of any length.
func TestPlainText_Growth(t *testing.T) {
	for _, h := range []struct{ begin, unit, end string }{
		{"", "<div>", ""}, {"", "<p style=display:none>", ""}, {"", "</x>", ""}, {"", "<td>", ""}, {"", "<li>", ""}, {"", "<div></p>", ""}, {"", "<b></i>", ""}, {"", "<table><td></div>", ""}, {"", "<tr>", ""}, {"", "<table>", "</table>"},
		{"", "<", ""}, {"", "<!--", ""}, {"", "<!", ""}, {"", "</", ""}, {"", "<a ", ""}, {"<a ", "a ", ">"}, {"<a ", "a=", ">"}, {"<a ", "a='", "'>"}, {"<a x='", "&amp;", "'>"}, {"", "&", ""}, {"", "&amp", ""}, {"", "&#x", ";"}, {"", "x", ""}, {"<pre>", "\n", ""},
		{"<style>", "{", "</style>"}, {"<style>", "/*", "</style>"}, {"<style>", ".a{display:none}/*", "</style>"}, {"<style>", ".a,", "{display:none}</style>"}, {"<style>", "@media screen{", "</style>"}, {"<style>", "a{}", "</style>"}, {"<style>", ".a{display:none}", "</style>"},
		{"<p style='", "opacity:1;", "'>"}, {"<p style='", ";", "'>"}, {"<p class='", "a ", "'>"}, {"", "<style>a{</style>", ""}, {"<script>", "</scrip", ""}, {"<script>", "<!--<script>", ""}, {"<title>", "</", ""}, {"<textarea>", "<", ""}, {"<plaintext>", "<", ""}, {"<svg>", "<![CDATA[", ""},
		{"", "<a href=http://x>y</a>", ""}, {"", "<a href=http://x>", ""}, {"", "<br>", ""}, {"", "<body>", ""}, {"", "<hr/>", ""}, {"", "\x00", ""}, {"", "<p\x00>", ""}, {"", "<!DOCTYPE ", ""}, {"<!--", "--!", ""}, {"<!--", "-", ""}, {"", "<![CDATA[", "]]>"},
	} {
		for _, piece := range []int{512, 4096} {
			growth.Linear(t, h.begin+h.unit+h.end, 8<<10, func(n int) func() {
				page := h.begin + growth.Repeat(h.unit, n) + h.end
				return func() {
					for _, open := range []func(io.Reader) io.Reader{PlainText, WholeText} {
						in, p := open(growth.Reader(page)), make([]byte, piece)
						for {
							if _, err := in.Read(p); err != nil {
								break
							}
						}
					}
				}
			})
		}
	}
}

// What a long text gives is read in small pieces without moving the rest of it each time.
func TestPlainText_SmallPieces(t *testing.T) {
	in := PlainText(strings.NewReader("<p>" + strings.Repeat("word ", 1<<18))).(*plainText)
	var p [16]byte
	if _, err := in.Read(p[:]); err != nil {
		t.Fatal(err)
	}
	rest := in.left
	if _, err := in.Read(p[:]); err != nil {
		t.Fatal(err)
	}
	if &rest[len(p)] != &in.left[0] {
		t.Error("a read of 16 octets has moved what is left")
	}
}
