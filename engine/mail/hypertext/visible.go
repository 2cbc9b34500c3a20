package hypertext

import (
	"golang.org/x/net/html"
)

// maxDepth bounds the stack of open elements; deeper ones are not followed. Browsers
// have such a limit, too.
const maxDepth = 300

// Visible follows a page and tells what of it is hidden. The zero value is at the
// beginning of a page.
type Visible struct {
	rules  rules
	open   []string       // elements, outermost first
	counts map[string]int // number of each name in open
	hidden int            // index in open of the hidden element, plus 1; 0: none is
}

// Start enters an element and reports whether it is shown.
func (v *Visible) Start(tag *html.Token) bool {
	if v.counts == nil {
		v.counts = make(map[string]int)
	}
	v.endImplied(tag.Data)
	hidden := v.hidden > 0 || v.rules.hide(tag)
	if voids[tag.Data] {
		return !hidden
	}
	if len(v.open) < maxDepth {
		v.open = append(v.open, tag.Data)
		v.counts[tag.Data]++
		if hidden && v.hidden == 0 {
			v.hidden = len(v.open)
		}
	}
	return !hidden
}

// End leaves an element and reports whether its end tag is shown.
func (v *Visible) End(name string) bool {
	was := v.hidden > 0
	if v.counts[name] == 0 {
		return !was
	}
	for i := len(v.open) - 1; i >= 0; i-- {
		if v.open[i] == name {
			v.pop(i)
			break
		}
		if cells[v.open[i]] && !tableParts[name] {
			break // the end tag is of an element outside the cell: browsers ignore it
		}
	}
	return !was
}

// Shown reports whether text at this place is shown.
func (v *Visible) Shown() bool { return v.hidden == 0 }

// Style takes the rules of a style element.
func (v *Visible) Style(css []byte) { v.rules.read(css) }

// pop leaves all elements from index i on.
func (v *Visible) pop(i int) {
	for _, name := range v.open[i:] {
		v.counts[name]--
	}
	v.open = v.open[:i]
	if v.hidden > i {
		v.hidden = 0
	}
}

// endImplied leaves the element that a start tag ends without an end tag.
func (v *Visible) endImplied(name string) {
	ends := implied[name]
	if ends == nil && blocks[name] {
		ends = paragraph
	}
	if !v.anyOpen(ends) {
		return
	}
	for i := len(v.open) - 1; i >= 0; i-- {
		if ends[v.open[i]] {
			v.pop(i)
			if name != "tr" { // which ends a cell and then a row
				return
			}
			continue
		}
		if v.open[i] == "table" || (v.open[i] == "ul" || v.open[i] == "ol" || v.open[i] == "dl" || cells[v.open[i]]) && name != "td" && name != "th" && name != "tr" {
			return
		}
	}
}

func (v *Visible) anyOpen(names map[string]bool) bool {
	for name := range names {
		if v.counts[name] > 0 {
			return true
		}
	}
	return false
}

func set(names ...string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

var (
	voids      = set("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
	cells      = set("td", "th", "caption", "table")
	tableParts = set("table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption")
	paragraph  = set("p")
	blocks     = set("address", "article", "blockquote", "center", "div", "dl", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6",
		"header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul")

	// implied has the elements that a start tag ends.
	implied = map[string]map[string]bool{
		"li": set("li"), "dt": set("dt", "dd"), "dd": set("dt", "dd"),
		"td": set("td", "th"), "th": set("td", "th"), "tr": set("td", "th", "tr"),
	}
)
