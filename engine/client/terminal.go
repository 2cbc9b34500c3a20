package client

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is text of one line for a terminal: characters that could command the terminal
// or change the direction of the text are replaced.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return harmless(r)
	}, text)
}

// harmless returns r, or its replacement. Joiners of scripts and emoji stay; what
// turns the direction of writing, or hides, does not.
func harmless(r rune) rune {
	switch {
	case r == '\u200c' || r == '\u200d':
		return r
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
		return unicode.ReplacementChar
	}
	return r
}

// Terminal writes text of others to a terminal: line ends and tabs stay, all that is not
// harmless is replaced, as in Printable. Pieces may be cut anywhere. Close ends the text
// with a line end if it lacks one.
type Terminal struct {
	w    io.Writer
	left []byte // the begin of a character
	last byte
}

// NewTerminal makes a Terminal on w.
func NewTerminal(w io.Writer) *Terminal { return &Terminal{w: w, last: '\n'} }

// Write implements io.Writer.
func (t *Terminal) Write(p []byte) (int, error) {
	text := append(t.left, p...)
	out := make([]byte, 0, len(text)+16)
	for len(text) > 0 && utf8.FullRune(text) {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		switch r {
		case '\n', '\t':
			out = append(out, byte(r))
		case '\r': // part of CRLF, or it would overwrite a line
		default:
			out = utf8.AppendRune(out, harmless(r))
		}
	}
	t.left = append([]byte(nil), text...)
	if len(out) > 0 {
		t.last = out[len(out)-1]
	}
	_, err := t.w.Write(out)
	return len(p), err
}

// Close ends the text.
func (t *Terminal) Close() error {
	var out []byte
	if len(t.left) > 0 {
		out = utf8.AppendRune(out, unicode.ReplacementChar)
		t.last = 0
	}
	if t.last != '\n' {
		out = append(out, '\n')
	}
	_, err := t.w.Write(out)
	return err
}
