package web

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/microcosm-cc/bluemonday"

	"postrider/storage"
)

// Images within a message stand in its document up to these sizes, in octets.
const (
	maxImage  = 4 << 20
	maxImages = 12 << 20
)

// shown are the types of images that are shown. SVG is a document with scripts, and is not.
var shown = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// framePolicy is what the document of an HTML part may do: be looked at. The sandbox
// stands in it too, in case somebody opens it without the frame.
const framePolicy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

// html sends the HTML of a message, sanitised, as a document for the frame.
func (p *Pages) html(w http.ResponseWriter, r *http.Request) {
	v, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	images := gallery{byID: make(map[string]*picture)}
	l, err := read(storage.NewPlain(m), images.take)
	if err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", framePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = io.WriteString(w, frameHead)
	_, _ = w.Write(sanitise(l.html, images.source))
	_, _ = io.WriteString(w, "</body></html>\n")
}

const frameHead = `<!doctype html><html lang="und"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">` +
	`<meta name="viewport" content="width=device-width, initial-scale=1">` +
	`<title>The message</title><style>body{margin:1.2rem 1.6rem;font:1rem/1.5 system-ui,"Liberation Sans","DejaVu Sans",sans-serif;color:#1d2126;background:#fff;overflow-wrap:anywhere}` +
	`img{max-width:100%;height:auto}table{max-width:100%}pre{white-space:pre-wrap}blockquote{margin:.5rem 0;padding-left:.9rem;border-left:3px solid #ddd}` +
	`@media(max-width:46rem){body{margin:1rem}}</style></head><body>`

// gallery keeps the images within a message.
type gallery struct {
	byID map[string]*picture
	left int
}

type picture struct {
	kind   string
	octets bytes.Buffer
	over   bool // too large
	all    *int // octets of all pictures
}

// Write takes octets up to the limits.
func (p *picture) Write(b []byte) (int, error) {
	if p.over = p.over || p.octets.Len()+len(b) > maxImage || *p.all+len(b) > maxImages; !p.over {
		*p.all += len(b)
		p.octets.Write(b)
	}
	return len(b), nil
}

// take wants the octets of images that have a Content-ID.
func (g *gallery) take(f file) io.Writer {
	if f.ContentID == "" || !shown[f.Type] || g.byID[f.ContentID] != nil {
		return nil
	}
	p := &picture{kind: f.Type, all: &g.left}
	g.byID[f.ContentID] = p
	return p
}

// source is the data: URL of an image, or "".
func (g *gallery) source(id string) string {
	p := g.byID[id]
	if p == nil || p.over {
		return ""
	}
	return "data:" + p.kind + ";base64," + base64.StdEncoding.EncodeToString(p.octets.Bytes())
}

// sanitise leaves of HTML what can be looked at. image gives the source of an image by
// its Content-ID, or "".
func sanitise(html []byte, image func(id string) string) []byte {
	p := policy()
	p.RewriteSrc(func(u *url.URL) {
		source := ""
		if u.Scheme == "cid" {
			id, err := url.PathUnescape(u.Opaque)
			if err == nil {
				source = image(strings.Trim(id, "<>"))
			}
		}
		*u = url.URL{}
		if scheme, opaque, ok := strings.Cut(source, ":"); ok {
			u.Scheme, u.Opaque = scheme, opaque
		}
	})
	return p.SanitizeBytes(filterStyles(html))
}

// policy is the allow list. Nothing in it names another document, but for links.
func policy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "div", "span", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "i", "em", "u", "s", "strike", "del", "ins",
		"small", "big", "sub", "sup", "tt", "code", "pre", "kbd", "samp", "var", "blockquote", "q", "cite", "abbr", "address", "center", "font",
		"ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "td", "th", "section", "article", "header", "footer", "figure", "figcaption")
	p.AllowAttrs("align", "valign").Matching(align).Globally()
	p.AllowAttrs("dir").Matching(direction).Globally()
	p.AllowAttrs("bgcolor", "color").Matching(colour).Globally()
	p.AllowAttrs("width", "height", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "size", "start").Matching(number).Globally()
	p.AllowAttrs("alt", "title").Globally()
	p.AllowAttrs("face").Matching(words).OnElements("font")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("src").OnElements("img")
	p.AllowElements("a", "img")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowURLSchemeWithCustomPolicy("cid", func(*url.URL) bool { return true })
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	p.AllowAttrs("style").Matching(filtered).Globally() // see filterStyles
	return p
}
