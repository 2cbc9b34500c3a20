package web

import (
	"regexp"
	"strings"
	"unicode"
)

// plainControls returns text without control characters but tabs and line ends, and
// without the characters that change the direction of writing, by which a name or an
// address can be made to look like another.
func plainControls(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r == '\u061c', r == '\u200e', r == '\u200f', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, text)
}

// block is a line of text, or a quotation with blocks within it.
type block struct {
	Depth int     // depth of the quotation; 0: a line
	Runs  []run   // text of a line
	Inner []block // content of a quotation
}

// run is a piece of a line: text, or an address of the web.
type run struct {
	Text string
	Link bool
}

const (
	maxDepth = 6     // levels of quotations within quotations
	maxLines = 20000 // lines of a text; a line costs a hundred times its size
)

// blocks divides text into lines and quotations (lines that begin with ">").
func blocks(text string) []block {
	text = strings.TrimRight(plainControls(text), "\n ")
	if text == "" {
		return nil
	}
	lines := strings.SplitN(text, "\n", maxLines+1)
	if len(lines) > maxLines {
		lines[maxLines] = "[… The raw source has the rest.]"
	}
	return nest(lines, 0)
}

func nest(lines []string, depth int) (bs []block) {
	for i := 0; i < len(lines); {
		if !strings.HasPrefix(lines[i], ">") || depth == maxDepth {
			bs = append(bs, block{Runs: runs(lines[i])})
			i++
			continue
		}
		var quoted []string
		for ; i < len(lines) && strings.HasPrefix(lines[i], ">"); i++ {
			quoted = append(quoted, strings.TrimPrefix(lines[i][1:], " "))
		}
		bs = append(bs, block{Depth: depth + 1, Inner: nest(quoted, depth+1)})
	}
	return bs
}

var webAddress = regexp.MustCompile(`https?://[^\s<>"']*[^\s<>"'.,;:!?)\]}]`)

// runs finds the addresses of the web in a line.
func runs(line string) (rs []run) {
	at := 0
	for _, found := range webAddress.FindAllStringIndex(line, -1) {
		if found[0] > at {
			rs = append(rs, run{Text: line[at:found[0]]})
		}
		rs = append(rs, run{line[found[0]:found[1]], true})
		at = found[1]
	}
	if at < len(line) {
		rs = append(rs, run{Text: line[at:]})
	}
	return rs
}

// blankLines are several empty lines.
var blankLines = regexp.MustCompile(`[ \t]*\n\s*\n\s*`)
