package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// Images within a message are part of its document up to these sizes, in octets.
const (
	maxImage   = 4 << 20
	maxImages  = 12 << 20
	maxRepeats = 4 << 20 // for images that are repeated
	sniffed    = 64      // octets of an image, which tell its type
)

// gallery has the pictures of a message: the ones that came with it, by their
// Content-ID or Content-Location, and the number of the others.
type gallery struct {
	ctx    context.Context // the request's; nil: nothing is booked
	remote bool            // pictures from other hosts may be loaded
	names  bool            // octets are not kept
	base   string          // Content-Location of the HTML
	root   *url.URL        // base, once it was read; nil as well if there is none that can be
	rooted bool            // it was read

	pictures   []*picture
	byID       map[string]int
	byLocation map[string]int
	octets     int // octets of all that are kept
	blocked    int // pictures of other hosts that are not loaded
}

// picture is an image within a message. Its first octets tell its type, not its label:
// programs write image/jpg, image/x-png or application/octet-stream.
type picture struct {
	of     *gallery
	kind   string // type of the image; "": not known yet, or not one that is shown
	octets bytes.Buffer
	over   bool // too large, or no picture
	used   bool // it is in the document
}

// Write takes octets up to the limits.
func (p *picture) Write(b []byte) (int, error) {
	if p.over {
		return len(b), nil
	}
	if p.octets.Len()+len(b) > maxImage || p.of.octets+len(b) > maxImages {
		p.drop()
		return len(b), nil
	}
	if p.of.ctx != nil {
		if err := Take(p.of.ctx, 2*int64(len(b))); err != nil { // a buffer grows to the double
			return 0, err
		}
	}
	p.of.octets += len(b)
	p.octets.Write(b)
	if p.octets.Len() >= sniffed && p.sniff() == "" {
		p.drop()
	}
	return len(b), nil
}

func (p *picture) drop() {
	p.over, p.of.octets = true, p.of.octets-p.octets.Len()
	p.octets = bytes.Buffer{}
}

// sniff is the type that the first octets tell, if such images are shown. SVG is a document
// with scripts, and is not.
func (p *picture) sniff() string {
	if p.kind == "" {
		p.kind = imageType(p.octets.Bytes())
	}
	return p.kind
}

func imageType(octets []byte) string {
	octets = octets[:min(len(octets), sniffed)]
	if len(octets) > 12 && string(octets[4:8]) == "ftyp" && bytes.Contains(octets[8:], []byte("avi")) {
		return "image/avif"
	}
	switch kind := http.DetectContentType(octets); kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/x-icon":
		return kind
	}
	return ""
}

// take wants the octets of parts that the HTML may show.
func (g *gallery) take(f file) io.Writer {
	if f.ContentID == "" && f.Location == "" || strings.HasPrefix(f.Type, "text/") || strings.HasPrefix(f.Type, "image/svg") {
		return nil
	}
	if g.byID == nil {
		g.byID, g.byLocation = make(map[string]int), make(map[string]int)
	}
	p := &picture{of: g}
	g.pictures = append(g.pictures, p)
	for name, by := range map[string]map[string]int{f.ContentID: g.byID, f.Location: g.byLocation} {
		if name != "" && by[name] == 0 {
			by[name] = len(g.pictures)
		}
	}
	if g.names {
		return nil
	}
	return p
}

// source replaces an image's source for the sanitiser: cid:1 for
// the first picture, the address of one on another host if such may be loaded, or "".
func (g *gallery) source(src string) string {
	src = strings.TrimSpace(src)
	if n := g.find(src); n > 0 {
		return "cid:" + strconv.Itoa(n)
	}
	if strings.HasPrefix(src, "//") {
		src = "https:" + src
	}
	scheme, _, _ := strings.Cut(src, ":")
	if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return ""
	}
	if g.remote {
		return src
	}
	g.blocked++
	return ""
}

// find is the number of the picture that a source names; 0: none.
func (g *gallery) find(src string) int {
	if len(g.pictures) == 0 || len(src) > 2000 {
		return 0
	}
	if len(src) > 4 && strings.EqualFold(src[:4], "cid:") {
		id := strings.Trim(src[4:], "<> ")
		if n := g.byID[id]; n > 0 {
			return n
		}
		plain, err := url.PathUnescape(id)
		if err != nil {
			return 0
		}
		return g.byID[strings.Trim(plain, "<> ")]
	}
	location := strings.Join(strings.Fields(src), "")
	if n := g.byLocation[location]; n > 0 {
		return n
	}
	root := g.ofHTML()
	if root == nil {
		return 0
	}
	u, err := root.Parse(location)
	if err != nil {
		return 0
	}
	return g.byLocation[u.String()]
}

// maxBase is how long a Content-Location may be that sources are read by: each source
// costs as much.
const maxBase = 500

// ofHTML is what sources are relative to; nil: nothing.
func (g *gallery) ofHTML() *url.URL {
	if !g.rooted {
		g.rooted = true
		if u, err := url.Parse(g.base); err == nil && g.base != "" && len(g.base) <= maxBase {
			g.root = u
		}
	}
	return g.root
}

// write writes what sanitise has left, with the pictures in it. A picture that is there
// several times is repeated up to maxRepeats, so that the document is no larger than the
// message and that.
func (g *gallery) write(w io.Writer, clean []byte) error {
	out := bufio.NewWriterSize(w, 32<<10)
	repeats := maxRepeats
	for z := html.NewTokenizer(bytes.NewReader(clean)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.Flush()
		}
		raw := z.Raw()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken || !bytes.HasPrefix(raw, []byte("<img")) {
			if _, err := out.Write(raw); err != nil {
				return err
			}
			continue
		}
		t := z.Token()
		if err := g.writeImage(out, &t, &repeats); err != nil {
			return err
		}
	}
}

func (g *gallery) writeImage(out *bufio.Writer, t *html.Token, repeats *int) error {
	_, _ = out.WriteString("<img")
	for _, a := range t.Attr {
		if a.Key != "src" {
			_, _ = out.WriteString(" " + a.Key + `="` + html.EscapeString(a.Val) + `"`)
			continue
		}
		name, ours := strings.CutPrefix(a.Val, "cid:")
		if !ours {
			if g.remote {
				_, _ = out.WriteString(` src="` + html.EscapeString(a.Val) + `"`)
			}
			continue
		}
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || n > len(g.pictures) {
			continue
		}
		p := g.pictures[n-1]
		if p.over || p.sniff() == "" || p.used && p.octets.Len() > *repeats {
			continue
		}
		if p.used {
			*repeats -= p.octets.Len()
		}
		p.used = true
		_, _ = out.WriteString(` src="data:` + p.kind + ";base64,")
		encoder := base64.NewEncoder(base64.StdEncoding, out)
		_, _ = encoder.Write(p.octets.Bytes())
		_ = encoder.Close()
		_ = out.WriteByte('"')
	}
	_, err := out.WriteString(">") // which tells all errors before it
	return err
}
