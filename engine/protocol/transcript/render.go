package transcript

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// render writes the machine's lines and the E: lines of what was gathered, and
// forgets it.
func (p *player) render(w *strings.Builder) {
	for rest := p.reply; len(rest) > 0; {
		line, more, whole := bytes.Cut(rest, []byte("\r\n"))
		text := escape(line)
		if !whole {
			text += `\c`
		}
		writeLine(w, p.tag, text)
		rest = more
	}
	for _, e := range p.effects {
		writeLine(w, "E:", e)
	}
	if p.closed {
		writeLine(w, "E:", "close")
	}
	p.reply, p.effects = nil, nil
}

// writeLine writes a line; a blank at its end is written so that it can be seen.
func writeLine(w *strings.Builder, tag, text string) {
	if before, ok := strings.CutSuffix(text, " "); ok {
		text = before + `\x20`
	}
	w.WriteString(tag)
	if text != "" {
		w.WriteString(" " + text)
	}
	w.WriteString("\n")
}

// escape shows octets as C: and S: lines do: characters that can be printed as
// they are, all else by an escape.
func escape(b []byte) string {
	var w strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r < utf8.RuneSelf || r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			w.WriteString(escapeASCII(b[:n]))
		} else {
			w.Write(b[:n])
		}
		b = b[n:]
	}
	return w.String()
}

// escapeASCII shows each octet by itself, so that the escapes of the pieces of a
// run are the escape of the run.
func escapeASCII(b []byte) string {
	var w strings.Builder
	for _, c := range b {
		switch {
		case c == '\\':
			w.WriteString(`\\`)
		case c == '\r':
			w.WriteString(`\r`)
		case c == '\n':
			w.WriteString(`\n`)
		case c == '\t':
			w.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&w, `\x%02x`, c)
		default:
			w.WriteByte(c)
		}
	}
	return w.String()
}

// difference describes where two transcripts differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	from := max(0, i-3)
	show := func(lines []string) string {
		return strings.Join(lines[min(from, len(lines)):min(i+4, len(lines))], "\n\t")
	}
	return fmt.Sprintf("differs at line %d\nwant:\n\t%s\ngot:\n\t%s", i+1, show(w), show(g))
}
