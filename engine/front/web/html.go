package web

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"

	"postrider/engine/mail/hypertext"
	"postrider/storage"
)

// framePolicy is what the document of an HTML part may do: be looked at. The sandbox
// is in it too, in case a user opens it without the frame. remotePolicy is the
// same for a reader who asked for the pictures of other hosts.
const (
	framePolicy  = "default-src 'none'; img-src data:; " + frameRest
	remotePolicy = "default-src 'none'; img-src data: http: https:; " + frameRest
	frameRest    = "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)

// html sends the HTML of a message, sanitised, as a document for the frame. With
// ?pictures=1 the browser may load pictures from other hosts.
func (p *Pages) html(w http.ResponseWriter, r *http.Request) {
	v, m, ok := p.open(w, r)
	if !ok {
		return
	}
	defer m.Close()
	g := gallery{ctx: r.Context(), remote: r.URL.Query().Get("pictures") == "1"}
	l, err := read(r.Context(), storage.NewPlain(m), g.take)
	if err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	g.base = l.location
	ready := prepare(l.html, &g)
	if err := Take(r.Context(), int64(len(ready))*cleanCost); err != nil {
		p.failed(w, v.Frame, err)
		return
	}
	clean := policy().SanitizeBytes(ready)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", framePolicy)
	if g.remote {
		h.Set("Content-Security-Policy", remotePolicy)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	if _, err = io.WriteString(w, frameHead); err == nil {
		err = g.write(slowWriter(w), clean)
	}
	if err == nil {
		_, _ = io.WriteString(w, "</body></html>\n")
	}
}

// frameHead begins the document. A picture that is not shown keeps its place and its
// words.
const frameHead = `<!doctype html><html lang="und"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">` +
	`<meta name="viewport" content="width=device-width, initial-scale=1">` +
	`<title>The message</title><style>body{margin:1.2rem 1.6rem;font:1rem/1.5 system-ui,"Liberation Sans","DejaVu Sans",sans-serif;color:#1d2126;background:#fff;overflow-wrap:anywhere}` +
	`img{max-width:100%}img[src]{height:auto}img:not([src]){display:inline-block;overflow:hidden;box-sizing:border-box;background:#8882;color:inherit;font-size:.8rem;vertical-align:middle}` +
	`table{max-width:100%}pre{white-space:pre-wrap}blockquote{margin:.5rem 0;padding-left:.9rem;border-left:3px solid #ddd}` +
	`@media(max-width:46rem){body{margin:1rem}}</style></head><body>`

const (
	// cleanCost is what sanitising takes in memory for each octet: links get attributes.
	cleanCost = 4
	// maxReady bounds what escaping may make of a page.
	maxReady = 2*maxHTML + 64<<10
)

// prepare makes the page ready for the sanitiser: hidden elements go, styles are
// filtered (see filterStyle), pictures are found, and the body is a block, which keeps its
// colours. The sanitiser's own filter for styles takes time by the square of their
// length, minutes for a message that is made for it; this one does not.
func prepare(page []byte, g *gallery) []byte {
	out := make([]byte, 0, len(page))
	var visible hypertext.Visible
	sheet := false
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		if len(out) > maxReady {
			return out
		}
		switch kind {
		case html.ErrorToken:
			return out
		case html.TextToken:
			if sheet {
				visible.Style(z.Text())
			} else if visible.Shown() {
				out = append(out, z.Raw()...)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if visible.Start(&t) {
				out = append(out, prepared(&t, g)...)
			}
			sheet = t.Data == "style"
			continue
		case html.EndTagToken:
			t := z.Token()
			if visible.End(t.Data) && t.Data != "body" {
				out = append(out, t.String()...)
			}
		}
		sheet = false
	}
}

// prepared is a start tag for the sanitiser.
func prepared(t *html.Token, g *gallery) string {
	if t.Data == "body" {
		t.Data, t.DataAtom = "div", 0
	}
	kept := t.Attr[:0]
	for _, a := range t.Attr {
		switch a.Key {
		case "style":
			a.Val = filterStyle(a.Val)
		case "src":
			if t.Data == "img" {
				a.Val = g.source(a.Val)
			}
		case "srcset", "background":
			a.Val = ""
		}
		if a.Val != "" || a.Key != "style" && a.Key != "src" && a.Key != "srcset" && a.Key != "background" {
			kept = append(kept, a)
		}
	}
	t.Attr = kept
	return t.String()
}

// allowed is the policy: making it compiles expressions, and it is not changed after.
var allowed = sync.OnceValue(makePolicy)

func policy() *bluemonday.Policy { return allowed() }

// makePolicy is the allow list. Nothing in it names another document, but for links and,
// when the reader asked for them, pictures.
func makePolicy() *bluemonday.Policy {
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
	p.AllowNoAttrs().OnElements("img") // for a picture that is not shown
	p.AllowAttrs("style").Matching(filtered).Globally()
	return p
}
