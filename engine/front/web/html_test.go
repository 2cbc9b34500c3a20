package web

import (
	"encoding/base64"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// allowedAttribute reports whether sanitised HTML may have an attribute.
func allowedAttribute(tag, key, value string) bool {
	switch key {
	case "href":
		return tag == "a" && regexp.MustCompile(`(?i)^(https?:|mailto:|cid:)`).MatchString(value)
	case "src":
		return tag == "img" && (value == "" || strings.HasPrefix(value, "data:image/gif;base64,"))
	case "style":
		return !regexp.MustCompile(`(?i)url|expression|@|\\|position|behavior|binding|/\*`).MatchString(value)
	case "rel", "target", "align", "valign", "dir", "bgcolor", "color", "width", "height", "border", "cellpadding", "cellspacing", "colspan",
		"rowspan", "size", "start", "alt", "title", "face":
		return true
	}
	return false
}

var forbidden = map[string]bool{"script": true, "style": true, "form": true, "input": true, "button": true, "textarea": true, "select": true, "meta": true, "base": true, "link": true,
	"svg": true, "math": true, "iframe": true, "frame": true, "object": true, "embed": true, "video": true, "audio": true, "source": true, "template": true, "noscript": true, "title": true, "plaintext": true, "xmp": true}

// wrong is what is in sanitised HTML, as a browser reads it, and may not be.
func wrong(t testing.TB, clean string) (found []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader("<!doctype html><html><head></head><body>" + clean + "</body></html>"))
	if err != nil {
		t.Fatal(err)
	}
	var look func(*html.Node)
	look = func(n *html.Node) {
		if n.Type == html.ElementNode {
			if forbidden[n.Data] || n.Namespace != "" {
				found = append(found, "<"+n.Data+">")
			}
			for _, a := range n.Attr {
				if !allowedAttribute(n.Data, a.Key, a.Val) {
					found = append(found, n.Data+" "+a.Key+"="+a.Val)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			look(c)
		}
	}
	look(root)
	return found
}

// pixel is a GIF.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

var pixelURL = "data:image/gif;base64," + base64.StdEncoding.EncodeToString([]byte(pixel))

// document is the document of a page, with a picture of the Content-ID "a".
func document(t testing.TB, page string, remote bool) string {
	t.Helper()
	g := gallery{remote: remote}
	_, _ = g.take(file{ContentID: "a", Type: "image/png"}).Write([]byte(pixel))
	var b strings.Builder
	if err := g.write(&b, sanitise([]byte(page), &g)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSanitise(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := strings.ReplaceAll(document(t, in, false), pixelURL, "PIXEL"); got != want {
			t.Errorf("%s\ngives %s\nnot   %s", in, got, want)
		}
	}
	f(`<p style="color:#123456;font-size:12pt">x</p>`, `<p style="color: #123456; font-size: 12pt">x</p>`)
	f(`<img src="cid:a" alt="x"><img src="CID:%61"><img src="cid:b">`, `<img src="PIXEL" alt="x"><img src="PIXEL"><img>`)
	f(`<img src="http://example.com/x" alt="logo" width=30 height=20>`, `<img alt="logo" width="30" height="20">`)
	f(`<img src="data:image/png;base64,QUJD"><img src=cid:1><img srcset="cid:a" src=x.png>x`, `<img><img><img>x`)
	f(`<a href="https://example.com/?a=1&amp;b=2">x</a>`, `<a href="https://example.com/?a=1&amp;b=2" rel="nofollow noreferrer noopener" target="_blank">x</a>`)
	f(`<a href="javascript:alert(1)">x</a><a href="/signout">y</a><a href="//example.com">z</a>`, `xyz`)
	f(`<script>alert(1)</script><style>p{}</style><form action="/send"><p>x</p></form>`, `<p>x</p>`)
	f(`<p style="background:url(http://example.com/x)">x</p>`, `<p>x</p>`)
	f(`<td background="http://example.com/x" onclick="y">x`, `<td>x`)
	f(`<body bgcolor=black style="color:white">x<div style="display:none">y<b>z</b></div></body>`, `<div bgcolor="black" style="color: white">x`)
}

// White letters keep the ground that they were written on.
func TestFilterStyle(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		got := filterStyle(in)
		if got != want {
			t.Errorf("%s\ngives %s\nnot   %s", in, got, want)
		}
		if !filtered.MatchString(got) {
			t.Errorf("%s is not passed by the sanitiser", got)
		}
	}
	f("background:#111;color:#fff", "background-color: #111; color: #fff")
	f("background: no-repeat center/cover url('https://x.example/red.png') Navy !important", "background-color: Navy")
	f("background:url(x) rgb(1, 2, 3)", "background-color: rgb(1, 2, 3)")
	f("background-image:linear-gradient(to right, #123456 0%, black 100%)", "background-color: #123456")
	f("background-image: -webkit-gradient(x), url(//x.example/a)", "")
	f("background:none;background:url(https://x.example/black)", "")
	f("background:hsla(210, 50%, 20%, .9) fixed", "background-color: hsla(210, 50%, 20%, .9)")
	f("font: italic bold 12px/30px Georgia, serif", "font: italic bold 12px Georgia, serif; line-height: 30px")
	f("font:0/0 a;color:white!important", "font: 0 a; line-height: 0; color: white")
	f("font: 12px url(x)", "")
	f("color:expression(x);position:fixed;background:\\75rl(x)", "")
}

// The first octets tell what a picture is, and every way to name it is found.
func TestPicturesWithinAMessage(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	f := func(src, fields, octets, want string) {
		t.Helper()
		id := h.deliver("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\nContent-Location: http://news.example/7/index.html\n\n" +
			"<img src=\"" + src + "\">\n--b\n" + fields + "\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(octets)) + "\n--b--\n")
		r, page := b.get("/m/" + id.String() + "/html")
		status(t, r, http.StatusOK)
		_, page, _ = strings.Cut(page, "<body>")
		if got := strings.Contains(page, `src="data:`+want+`;base64,`); got != (want != "") || want == "" && strings.Contains(page, "src=") {
			t.Errorf("%s of %s: %.200s", src, fields, page)
		}
	}
	bmp, avif, jpeg := "BM\x3a\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00", "\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1", "\xff\xd8\xff\xe1\x00\x10Exif\x00\x00"
	webp := "RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00"
	for _, kind := range []string{"image/jpg", "image/pjpeg", "image/gif", "image/x-citrix-jpeg", "application/octet-stream", "application/x-download", "image/"} {
		f("cid:p@x", "Content-ID: <p@x>\nContent-Type: "+kind, jpeg, "image/jpeg")
	}
	f("cid:p", "Content-ID: <p>\nContent-Type: image/x-ms-bmp", bmp, "image/bmp")
	f("cid:p", "Content-ID: <p>\nContent-Type: image/avif", avif, "image/avif")
	f("cid:p", "Content-ID: p\nContent-Type: image/x-png", webp, "image/webp")
	f("cid:a/b?c=d&amp;e", "Content-ID: <a/b?c=d&e>\nContent-Type: image/gif", pixel, "image/gif")
	f("cid:my picture@x", "Content-ID: <my picture@x>\nContent-Type: image/gif", pixel, "image/gif")
	f("cid:my%20picture@x", "Content-ID: <my picture@x>\nContent-Type: image/gif", pixel, "image/gif")
	f("cid:%3C100%25@x%3E", "Content-ID: <100%@x>\nContent-Type: image/gif", pixel, "image/gif")
	f("cid:100%@x", "Content-ID: <100%@x>\nContent-Type: image/gif", pixel, "image/gif")
	f("dot.gif", "Content-Location: dot.gif\nContent-Type: image/gif", pixel, "image/gif")
	f("../img/dot.gif", "Content-Location: http://news.example/img/dot.gif\nContent-Type: image/gif", pixel, "image/gif")
	f("http://news.example/dot.gif", "Content-Location: http://news.example/dot.gif\nContent-Type: image/gif", pixel, "image/gif")
	f("cid:p", "Content-ID: <p>\nContent-Type: image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>", "")
	f("cid:p", "Content-ID: <p>\nContent-Type: image/png", "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "")
	f("cid:p", "Content-ID: <p>\nContent-Type: image/png", "%PDF-1.4 "+strings.Repeat("x", 100), "")
	f("cid:q", "Content-ID: <p>\nContent-Type: image/gif", pixel, "")
	f("other.gif", "Content-Location: dot.gif\nContent-Type: image/gif", pixel, "")
}

// A picture that is named again and again is repeated within a bound, and the first time
// always.
func TestPictureNamedManyTimes(t *testing.T) {
	f := func(size, times, want int) {
		t.Helper()
		var g gallery
		_, _ = g.take(file{ContentID: "a"}).Write([]byte(pixel + strings.Repeat("x", size)))
		_, _ = g.take(file{ContentID: "b"}).Write([]byte(pixel))
		var b strings.Builder
		if err := g.write(&b, sanitise([]byte(strings.Repeat(`<img src="cid:a">`, times)+`<img src="cid:b">`), &g)); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(b.String(), "data:image/gif"); got != want || strings.Count(b.String(), "<img") != times+1 || b.Len() > (maxImages+maxRepeats)*3/2 {
			t.Errorf("%d octets %d times: %d stand in %d octets", size, times, got, b.Len())
		}
	}
	f(100, 500, 501)
	f(3<<20, 500, 3)
	f(maxRepeats/2, 7, 2+1)
	f(maxImage+1, 3, 1)
}

// Pictures on other hosts are counted, and loaded when the reader asks for them.
func TestPicturesOfOtherHosts(t *testing.T) {
	h := newHouse(t)
	b := h.as("bob")
	id := h.deliver("Subject: x\nMIME-Version: 1.0\nContent-Type: text/html\n\n<p style=\"background:url(http://far.example/back)\">Hi</p>" +
		"<img src=\"https://far.example/a.png?x=1&amp;y=2\" width=\"300\" height=\"90\"><img src=\"//far.example/b\"><div style=\"display:none\"><img src=\"http://far.example/c\"></div><img src=\"ftp://far.example/d\">\n").String()
	_, page := b.get("/m/" + id)
	has(t, page, "2 pictures from other hosts are not loaded", `href="/m/`+id+`?pictures=1"`, `src="/m/`+id+`/html"`)
	r, frame := b.get("/m/" + id + "/html")
	has(t, frame, `<img width="300" height="90"><img><img>`)
	if policy := r.Header.Get("Content-Security-Policy"); strings.Contains(frame, "far.example") || !strings.Contains(policy, "img-src data:;") {
		t.Errorf("%s\n%s", policy, frame)
	}
	_, page = b.get("/m/" + id + "?pictures=1")
	has(t, page, `src="/m/`+id+`/html?pictures=1"`, "may see that you read it")
	r, frame = b.get("/m/" + id + "/html?pictures=1")
	has(t, frame, `<img src="https://far.example/a.png?x=1&amp;y=2" width="300" height="90"><img src="https://far.example/b"><img>`)
	if policy := r.Header.Get("Content-Security-Policy"); strings.Contains(frame, "/back") || strings.Contains(frame, "/c") || !strings.Contains(policy, "img-src data: http: https:;") || !strings.Contains(policy, "sandbox") {
		t.Errorf("%s\n%s", policy, frame)
	}
	id = h.deliver("Subject: x\nContent-Type: text/html\n\n<p>Hi</p>").String()
	if _, page = b.get("/m/" + id); strings.Contains(page, "other hosts are") || strings.Contains(page, "pictures=1") {
		t.Error(page)
	}
}

func FuzzSanitise(f *testing.F) {
	hostile, err := os.ReadFile("../../../cmd/postrider/e2e/testdata/hostile.html")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(hostile))
	for line := range strings.Lines(string(hostile)) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, in string) {
		clean := document(t, in, false)
		if found := wrong(t, clean); len(found) > 0 {
			t.Errorf("%q leaves %q: %v", in, clean, found)
		}
	})
}

func TestImagesWithinAMessageStandInItsDocument(t *testing.T) {
	h := newHouse(t)
	octets := "\x89PNG\x0D\x0A\x1A\x0A" + strings.Repeat("octets\x00\xff", 1000)
	image := base64.StdEncoding.EncodeToString([]byte(octets))
	id := h.deliver("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n" +
		"<p>Hello</p><img src=\"cid:one@x\"><img src=\"cid:two@x\"><img src=\"cid:three@x\"><script>x</script>\n" +
		"--b\nContent-Type: image/png\nContent-ID: <one@x>\nContent-Transfer-Encoding: base64\n\n" + image + "\n" +
		"--b\nContent-Type: image/svg+xml\nContent-ID: <two@x>\n\n<svg onload=\"x\"/>\n" +
		"--b\nContent-Type: image/gif\nContent-ID: <three@x>\n\n" + "GIF89a" + strings.Repeat("\n"+strings.Repeat("y", 900), maxImage/900+1) + "\n--b--\n").String()
	r, page := h.as("bob").get("/m/" + id + "/html")
	status(t, r, http.StatusOK)
	has(t, page, "<p>Hello</p>", `<img src="data:image/png;base64,`+image+`">`)
	if strings.Count(page, "<img") != 3 || strings.Count(page, `<img>`) != 2 || strings.Contains(page, "script>x") {
		t.Errorf("%.3000s", page)
	}
}

// sanitise leaves of a page what can be looked at, with the pictures of the gallery as
// cid:1, cid:2, ..., see gallery.write.
func sanitise(page []byte, g *gallery) []byte {
	return policy().SanitizeBytes(prepare(page, g))
}
