package web

import (
	"strings"
	"testing"
)

// What is large, and made to be slow, is sanitised in linear time. Nothing
// is timed here: what takes the square of it would not end before the test's time is over.
func TestSanitise_LinearTime(t *testing.T) {
	f := func(before, again, behind string) {
		t.Helper()
		document(t, before+strings.Repeat(again, maxHTML/4/len(again))+behind, false)
	}
	for _, again := range []string{"color:red;", "(", "{", "\\", "'", "/*", "@a ", "rgb(0,", "a{b:c}", "background:url(", "font:1/", "background:#fff;", "background:red url(x) !important;"} {
		f(`<p style="color:`, again, `">`)
	}
	for _, again := range []string{"<div>", "<b>", "<", "&", "<!--", "<script>", "<a href=x>", "<img src=cid:a>", "<p style=\"color:", "</p>", "<table><td>"} {
		f("", again, "")
	}
	f(`<p `, "a=b ", `>`)
	f(`<p style="margin:`, "1 ", `">`)
	f(`<a href="http://x/`, "%41", `">x`)
	f(`<img src="cid:`, "a%20", `">`)
}
