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

// allowedAttribute says what an attribute of sanitised HTML may be.
func allowedAttribute(tag, key, value string) bool {
	switch key {
	case "href":
		return tag == "a" && regexp.MustCompile(`(?i)^(https?:|mailto:|cid:)`).MatchString(value)
	case "src":
		return tag == "img" && (value == "" || strings.HasPrefix(value, "data:image/png;base64,"))
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

// picture is the image with the id "a", and no other.
func onePicture(id string) string {
	if id == "a" {
		return "data:image/png;base64,QUJD"
	}
	return ""
}

func TestSanitise(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := string(sanitise([]byte(in), onePicture)); got != want {
			t.Errorf("%s\ngives %s\nnot   %s", in, got, want)
		}
	}
	f(`<p style="color:#123456;font-size:12pt">x</p>`, `<p style="color: #123456; font-size: 12pt">x</p>`)
	f(`<img src="cid:a" alt="x"><img src="CID:%61"><img src="cid:b">`, `<img src="data:image/png;base64,QUJD" alt="x"><img src="data:image/png;base64,QUJD"><img src="">`)
	f(`<img src="http://example.com/x" alt="logo">`, `<img src="" alt="logo">`)
	f(`<img src="data:image/png;base64,QUJD">x`, `x`)
	f(`<a href="https://example.com/?a=1&amp;b=2">x</a>`, `<a href="https://example.com/?a=1&amp;b=2" rel="nofollow noreferrer noopener" target="_blank">x</a>`)
	f(`<a href="javascript:alert(1)">x</a><a href="/signout">y</a><a href="//example.com">z</a>`, `xyz`)
	f(`<script>alert(1)</script><style>p{}</style><form action="/send"><p>x</p></form>`, `<p>x</p>`)
	f(`<p style="background:url(http://example.com/x)">x</p>`, `<p>x</p>`)
	f(`<td background="http://example.com/x" onclick="y">x`, `<td>x`)
}

func FuzzSanitise(f *testing.F) {
	hostile, err := os.ReadFile("../../cmd/postrider/e2e/testdata/hostile.html")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(hostile))
	for line := range strings.Lines(string(hostile)) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, in string) {
		clean := string(sanitise([]byte(in), onePicture))
		if found := wrong(t, clean); len(found) > 0 {
			t.Errorf("%q leaves %q: %v", in, clean, found)
		}
	})
}

func TestImagesWithinAMessageStandInItsDocument(t *testing.T) {
	h := newHouse(t)
	octets := strings.Repeat("PNG octets\x00\xff", 1000)
	image := base64.StdEncoding.EncodeToString([]byte(octets))
	id := h.deliver("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n" +
		"<p>Hello</p><img src=\"cid:one@x\"><img src=\"cid:two@x\"><img src=\"cid:three@x\"><script>x</script>\n" +
		"--b\nContent-Type: image/png\nContent-ID: <one@x>\nContent-Transfer-Encoding: base64\n\n" + image + "\n" +
		"--b\nContent-Type: image/svg+xml\nContent-ID: <two@x>\n\n<svg onload=\"x\"/>\n" +
		"--b\nContent-Type: image/gif\nContent-ID: <three@x>\n\n" + strings.Repeat("x", 100) + strings.Repeat("\n"+strings.Repeat("y", 900), maxImage/900+1) + "\n--b--\n").String()
	r, page := h.as("bob").get("/m/" + id + "/html")
	status(t, r, http.StatusOK)
	has(t, page, "<p>Hello</p>", `<img src="data:image/png;base64,`+image+`">`)
	if strings.Count(page, "<img") != 3 || strings.Count(page, `src=""`) != 2 || strings.Contains(page, "script>x") {
		t.Errorf("%.3000s", page)
	}
}
