package manual

import (
	"fmt"
	"strings"
)

// roff is a page in the making, in the macros of man(7).
type roff struct{ strings.Builder }

// escaped takes characters of text for themselves.
var escaped = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// plain writes a line of text. A line that begins with a dot is text, too.
func (r *roff) plain(line string) {
	if strings.HasPrefix(line, ".") {
		r.WriteString(`\&`)
	}
	r.WriteString(escaped.Replace(line) + "\n")
}

// macro writes a line with a macro and its arguments.
func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, arg := range args {
		fmt.Fprintf(r, ` "%s"`, strings.ReplaceAll(escaped.Replace(arg), `"`, `\(dq`))
	}
	r.WriteString("\n")
}

// title begins a page.
func (r *roff) title(name, section, version, short string) {
	r.macro("TH", strings.ToUpper(name), section, "", "postrider "+version, "Postrider")
	r.macro("nh")
	r.macro("ad l")
	r.macro("SH", "NAME")
	r.plain(name + " - " + short)
}

// text writes paragraphs: lines are filled, and lines that begin with a blank stay
// as they are.
func (r *roff) text(text string) {
	verbatim, begun := false, false
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if line == "" && !verbatim {
			if begun {
				r.macro("PP")
			}
			continue
		}
		if as := strings.HasPrefix(line, " ") || line == ""; as != verbatim {
			verbatim = as
			r.macro(map[bool]string{true: "nf", false: "fi"}[as])
			if !as {
				r.macro("PP")
			}
		}
		r.plain(line)
		begun = true
	}
	if verbatim {
		r.macro("fi")
	}
}

// verbatim writes lines as they are.
func (r *roff) verbatim(text string) {
	r.macro("nf")
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		r.plain(line)
	}
	r.macro("fi")
}

// item writes a term and what it is.
func (r *roff) item(term, text string) {
	r.macro("TP")
	r.macro("B", term)
	if text == "" {
		text = " "
	}
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		r.plain(strings.TrimLeft(line, " "))
	}
}
