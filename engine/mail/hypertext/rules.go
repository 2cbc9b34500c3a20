package hypertext

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

const (
	maxCSS   = 256 << 10 // octets of all style elements that are read
	maxRules = 4096      // selectors that are kept
	maxStyle = 16 << 10  // octets of a style attribute that are read
)

// rules are the selectors of style elements that hide what they match, or show it.
type rules struct {
	octets int
	by     map[string]verdict // ".class", "#id", "tag", "tag.class", "tag#id"
}

// verdict is the effect of declarations on an element.
type verdict struct {
	hidden, shown bool // neither: nothing
	important     bool
}

// hide reports whether an element is hidden, by its attributes or by a rule.
func (r *rules) hide(tag *html.Token) bool {
	var own, ruled verdict
	class, id := "", ""
	for _, a := range tag.Attr {
		switch a.Key {
		case "hidden":
			own.hidden = own.hidden || !own.shown
		case "style":
			own = judge(a.Val[:min(len(a.Val), maxStyle)])
		case "class":
			class = a.Val
		case "id":
			id = a.Val
		}
	}
	if len(r.by) > 0 {
		ruled = r.of(tag.Data, class, id)
	}
	if ruled.important && !own.important || !own.hidden && !own.shown {
		return ruled.hidden
	}
	return own.hidden
}

// of returns the verdict of the rules for a tag, then for classes, then for an id.
func (r *rules) of(tag, class, id string) (found verdict) {
	look := func(selector string) {
		if v, ok := r.by[selector]; ok && (v.important || !found.important) {
			found = v
		}
	}
	look(tag)
	for i, c := range strings.Fields(class[:min(len(class), 1000)]) {
		if i == 20 {
			break
		}
		look("." + c)
		look(tag + "." + c)
	}
	if id != "" {
		look("#" + id)
		look(tag + "#" + id)
	}
	return found
}

// read takes the rules of a style element that are outside @media, or in one that is
// true of every screen.
func (r *rules) read(css []byte) {
	css = css[:min(len(css), maxCSS-r.octets)]
	r.octets += len(css)
	r.rules(withoutComments(css))
}

func (r *rules) rules(css []byte) {
	for {
		open := bytes.IndexAny(css, "{;}")
		if open < 0 {
			return
		}
		head := strings.ToLower(strings.TrimSpace(string(css[:open])))
		if css[open] != '{' { // @import and the like, or a stray brace
			css = css[open+1:]
			continue
		}
		body, rest := block(css[open+1:])
		css = rest
		query, media := strings.CutPrefix(head, "@media")
		switch {
		case media && everyScreen[strings.TrimSpace(query)]:
			r.flat(body)
		case !strings.HasPrefix(head, "@"):
			r.rule(head, body)
		}
	}
}

var everyScreen = set("all", "screen", "only screen", "only all")

// flat reads the rules of an @media block; what is nested deeper is passed over.
func (r *rules) flat(css []byte) {
	for {
		open := bytes.IndexByte(css, '{')
		if open < 0 {
			return
		}
		body, rest := block(css[open+1:])
		if head := strings.ToLower(strings.TrimSpace(string(css[:open]))); !strings.HasPrefix(head, "@") {
			r.rule(head, body)
		}
		css = rest
	}
}

// block divides css at the brace that ends a block which is open.
func block(css []byte) (body, rest []byte) {
	depth := 1
	for i, c := range css {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return css[:i], css[i+1:]
			}
		}
	}
	return css, nil
}

// rule keeps the verdict of a rule for its simple selectors.
func (r *rules) rule(selectors string, body []byte) {
	v := judge(string(body))
	if !v.hidden && !v.shown {
		return
	}
	if r.by == nil {
		r.by = make(map[string]verdict)
	}
	for s := range strings.SplitSeq(selectors, ",") {
		s = strings.TrimSpace(s)
		if s == "" || len(s) > 100 || strings.ContainsAny(s, " >+~[:*\t\r\n") || strings.Count(s, ".")+strings.Count(s, "#") > 1 || len(r.by) >= maxRules {
			continue
		}
		if old := r.by[s]; v.important || !old.important {
			r.by[s] = v
		}
	}
}

// withoutComments returns css without its comments and the HTML comments around it.
func withoutComments(css []byte) []byte {
	out := make([]byte, 0, len(css))
	for {
		before, rest, ok := bytes.Cut(css, []byte("/*"))
		out = append(out, before...)
		if !ok {
			break
		}
		if _, css, ok = bytes.Cut(rest, []byte("*/")); !ok {
			break
		}
	}
	out = bytes.ReplaceAll(out, []byte("<!--"), nil)
	return bytes.ReplaceAll(out, []byte("-->"), nil)
}

// judge reads declarations.
func judge(style string) (v verdict) {
	var none, hides, far, placed, flat, clipped, overflow bool
	for d := range strings.SplitSeq(strings.ToLower(style), ";") {
		name, value, ok := strings.Cut(d, ":")
		if !ok {
			continue
		}
		name = strings.TrimSpace(name)
		value, important := strings.CutSuffix(strings.TrimSpace(value), "important")
		value = strings.TrimRight(value, "! \t\r\n")
		n, isNumber := leadingNumber(value)
		hid := hides
		switch name {
		case "display":
			none, v.shown = value == "none", value != "none"
			v.important = v.important || important
		case "visibility":
			hides = hides || value == "hidden" || value == "collapse"
		case "opacity":
			hides = hides || isNumber && n < 0.02
		case "max-height":
			hides = hides || isNumber && n == 0
		case "text-indent":
			hides = hides || isNumber && n <= -900
		case "transform":
			hides = hides || strings.HasPrefix(strings.ReplaceAll(value, " ", ""), "scale(0)")
		case "height":
			flat = isNumber && n == 0
		case "overflow", "overflow-y":
			clipped, overflow = value == "hidden" || value == "clip", value == "visible"
		case "position":
			placed = value == "absolute" || value == "fixed"
		case "left", "top", "right":
			far = far || isNumber && n <= -900
		}
		v.important = v.important || important && hides && !hid
	}
	v.hidden = none || hides && !overflow || flat && clipped && !strings.Contains(style, "padding") || placed && far
	v.shown = v.shown && !v.hidden
	return v
}

// leadingNumber is the number that a value of CSS begins with, "0px" or "-.5em".
func leadingNumber(value string) (float64, bool) {
	end := 0
	for end < len(value) && end < 20 && (value[end] >= '0' && value[end] <= '9' || value[end] == '.' || end == 0 && value[end] == '-') {
		end++
	}
	n, err := strconv.ParseFloat(value[:end], 64)
	return n, err == nil
}
