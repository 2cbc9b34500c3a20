package web

import (
	"bytes"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

var (
	number    = regexp.MustCompile(`^[0-9]{1,4}%?$`)
	align     = regexp.MustCompile(`(?i)^(left|right|center|justify|top|middle|bottom|baseline)$`)
	colour    = regexp.MustCompile(`(?i)^(#[0-9a-f]{3,8}|[a-z]{3,20}|rgba?\([0-9., %]{1,40}\))$`)
	measure   = regexp.MustCompile(`(?i)^(-?[0-9.]{1,8}(px|pt|em|rem|ex|%)?|auto)( (-?[0-9.]{1,8}(px|pt|em|rem|ex|%)?|auto)){0,3}$`)
	direction = regexp.MustCompile(`(?i)^(ltr|rtl|auto)$`)
	border    = regexp.MustCompile(`(?i)^[a-z0-9#., %]{1,60}$`)
	words     = regexp.MustCompile(`(?i)^[a-z0-9 ,'"-]{1,200}$`)

	// filtered is what filterStyle leaves, once more, for the allow list.
	filtered = regexp.MustCompile(`(?i)^([a-z-]{3,20}: [a-z0-9#., %()'"-]{1,200}(; |$))*$`)
)

// properties are those of CSS that may be set, and to what. None of them can name
// another document, or put something where it does not stand.
var properties = map[string]*regexp.Regexp{
	"color": colour, "background-color": colour,
	"font-family": words, "font-weight": words, "font-style": words, "text-align": words, "text-decoration": words, "text-transform": words,
	"vertical-align": words, "border-collapse": words, "white-space": words, "list-style-type": words,
	"border": border, "border-top": border, "border-right": border, "border-bottom": border, "border-left": border,
}

func init() {
	for _, p := range []string{"font-size", "line-height", "letter-spacing", "padding", "padding-top", "padding-right", "padding-bottom", "padding-left",
		"margin-top", "margin-right", "margin-bottom", "margin-left", "margin", "width", "max-width", "height", "border-radius", "border-spacing"} {
		properties[p] = measure
	}
}

// filterStyle leaves of a style attribute the declarations that properties allow. It
// knows no strings, comments or escapes of CSS: what has one in it does not match.
func filterStyle(style string) string {
	var kept []string
	for d := range strings.SplitSeq(style, ";") {
		name, value, ok := strings.Cut(d, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if may := properties[name]; ok && may != nil && len(value) <= 200 && may.MatchString(value) {
			kept = append(kept, name+": "+value)
		}
	}
	return strings.Join(kept, "; ")
}

// filterStyles puts what filterStyle leaves in place of each style attribute. The
// sanitiser's own filter for styles takes time by the square of their length, minutes
// for a message that is made for it; this one does not.
func filterStyles(src []byte) []byte {
	out := make([]byte, 0, len(src))
	for z := html.NewTokenizer(bytes.NewReader(src)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out
		}
		raw := z.Raw()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken || !styled.Match(raw) {
			out = append(out, raw...)
			continue
		}
		t, kept := z.Token(), 0
		for _, a := range t.Attr {
			if a.Key == "style" {
				a.Val = filterStyle(a.Val)
			}
			if a.Key != "style" || a.Val != "" {
				t.Attr[kept] = a
				kept++
			}
		}
		t.Attr = t.Attr[:kept]
		out = append(out, t.String()...)
	}
}

var styled = regexp.MustCompile(`(?i)style`)
