package mail

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"postrider/engine/client"
)

// terminalWidth is how many columns a table may have: the terminal's width, else
// $COLUMNS, else 120.
func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return 120
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// column is text in exactly width columns of a terminal, cut or filled. Wide characters
// take two, and what a reader sees as one character is not cut.
func column(text string, width int) string {
	text = client.Printable(text)
	if w := uniseg.StringWidth(text); w <= width {
		return text + strings.Repeat(" ", width-w)
	}
	var out strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if used+g.Width() > width-1 {
			break
		}
		out.WriteString(g.Str())
		used += g.Width()
	}
	return out.String() + "…" + strings.Repeat(" ", max(width-1-used, 0))
}
