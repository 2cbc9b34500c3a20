package web

import (
	"io"
	"strings"
	"testing"

	"postrider/codec/growth"
)

// hostilePages are pages that a sanitiser could look through again and again.
var hostilePages = []struct{ begin, unit, end string }{
	{"", "<div>", ""}, {"", "<b>", ""}, {"", "<a href=http://x>", ""}, {"", "</x>", ""}, {"", "<p style='color:red'>", ""}, {"<p style='", "color:red;", "'>"}, {"<p style='", "x:", "'>"}, {"<p style='background:", "url(", "'>"}, {"<p style='font:", "a/", "'>"}, {"<p style='color:", "#", "'>"}, {"<p style='", ";", "'>"},
	{"", "<", ""}, {"", "<!--", ""}, {"", "</", ""}, {"<a ", "a ", ">"}, {"<a ", "title=x ", ">"}, {"<a href='http://", "a", "'>"}, {"<a href='", "&amp;", "'>x</a>"}, {"", "&", ""}, {"", "&#38;", ""}, {"<table>", "<tr><td>", ""}, {"", "<script>", ""}, {"", "<script></scrip", ""}, {"<style>", "a{}", "</style>"},
	{"", "<img src=cid:a>", ""}, {"", "<img src=http://x/y>", ""}, {"", "<img src=x/y>", ""}, {"<img ", "src=cid:a ", ">"}, {"", "<body>", ""}, {"", "<svg>", ""}, {"", "<style></style>", ""}, {"", "<title>", ""}, {"", "<plaintext>", ""}, {"<textarea>", "<", ""}, {"", "<font color=red>", ""}, {"", "<a href=javascript:x>", ""}, {"", "\x00", ""}, {"", "<p hidden>", "x"},
	{"", "<img src='cid:%61%61%61'>", ""}, {"<img src='", "../", "'>"}, {"", "<ul><li>", ""}, {"", "<noscript><p title=\"</noscript>", ""},
}

// A page is sanitised, and written with its pictures, in one pass.
func TestSanitise_Growth(t *testing.T) {
	sanitise(nil, &gallery{})
	for _, h := range hostilePages {
		growth.Linear(t, h.begin+h.unit+h.end, 8<<10, func(n int) func() {
			page := []byte(h.begin + growth.Repeat(h.unit, n) + h.end)
			return func() {
				g := gallery{base: "http://host.example/" + strings.Repeat("a/", 100)}
				_, _ = g.take(file{ContentID: "a", Location: "http://host.example/b"}).Write([]byte(pixelOctets))
				clean := sanitise(page, &g)
				_ = g.write(io.Discard, clean)
			}
		})
	}
}

const pixelOctets = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// Content-Location names what the sources of a message's pictures are relative to.
// A long one costs nothing for each of them.
func TestSources_Growth(t *testing.T) {
	growth.Linear(t, "pictures and the length of Content-Location", 16<<10, func(n int) func() {
		page := []byte(growth.Repeat("<img src=x>", n))
		base := "http://host.example/" + strings.Repeat("a/", n)
		return func() {
			g := gallery{base: base}
			g.take(file{Location: "http://host.example/b"})
			prepare(page, &g)
		}
	})
}

// The text of a message is divided into lines, quotations and addresses in one pass, and so
// is a page that is quoted.
func TestText_Growth(t *testing.T) {
	for _, unit := range []string{">", "> ", ">\n", ">>>>>>>>\n", "\n", " \n", "http://", "http://a", "http://a.,", "http://.", "h", " ", "\t", "\u202e", "x\n> y\n", "https://a\n"} {
		growth.Linear(t, unit, 8<<10, func(n int) func() {
			text := growth.Repeat(unit, n)
			return func() { blocks(text) }
		})
	}
	for _, h := range hostilePages {
		growth.Linear(t, "quoted: "+h.begin+h.unit+h.end, 8<<10, func(n int) func() {
			page := []byte(h.begin + growth.Repeat(h.unit, n) + h.end)
			return func() { withoutTags(page) }
		})
	}
	for _, unit := range []string{"\n", " \n", "\n\t", " ", "x\n \n", "<br>", "<p> "} {
		growth.Linear(t, "blank lines: "+unit, 8<<10, func(n int) func() {
			page := []byte("x" + growth.Repeat(unit, n) + "y")
			return func() { withoutTags(page) }
		})
	}
}

// A search of many words over a long subject costs as much as both are long.
func TestSearch_Growth(t *testing.T) {
	growth.Linear(t, "subjects", 8<<10, func(n int) func() {
		row := Row{Subject: strings.Repeat("a", n)}
		words := strings.Fields(strings.Repeat(strings.Repeat("a", 60)+"b ", maxQuery/62))
		return func() { row.has(words) }
	})
}
