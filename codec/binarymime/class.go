package binarymime

import (
	"bytes"
	"unicode/utf8"
)

// maxLine is the most octets of a line without CRLF (RFC 5322 section 2.1.1).
const maxLine = 998

// class is what the octets of a body are, which come cut anywhere.
type class struct {
	nul, bare, long bool // NUL, CR or LF alone, a line over maxLine octets
	eight           bool // above 127
	notUTF8         bool
	cr              bool // the last octet was a CR
	line            int
	part            []byte // the octets so far of a character that is cut
}

// add takes the next octets.
func (c *class) add(b []byte) {
	if len(b) == 0 {
		return
	}
	c.nul = c.nul || bytes.IndexByte(b, 0) >= 0
	for _, o := range b {
		if o >= 0x80 {
			c.eight = true
			break
		}
	}
	c.utf8(b)
	if c.bare {
		return
	}
	c.lines(b)
}

func (c *class) lines(b []byte) {
	if c.cr && b[0] != '\n' {
		c.bare = true
		return
	}
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			c.grow(len(b))
			return
		}
		c.grow(i)
		switch {
		case b[i] == '\n' && (i > 0 || !c.cr), b[i] == '\r' && i+1 < len(b) && b[i+1] != '\n':
			c.bare = true
			return
		case b[i] == '\n':
			c.cr, c.line = false, 0
			b = b[i+1:]
		case i+1 == len(b):
			c.cr = true
			return
		default:
			c.line = 0
			b = b[i+2:]
		}
	}
}

func (c *class) grow(n int) {
	c.line += n
	c.long = c.long || c.line > maxLine
}

// endLine ends the line that the octets are in by something that is not of them.
func (c *class) endLine() {
	c.bare = c.bare || c.cr
	c.cr, c.line = false, 0
}

// utf8 looks whether the octets are UTF-8.
func (c *class) utf8(b []byte) {
	if c.notUTF8 {
		return
	}
	if len(c.part) > 0 {
		b = append(c.part, b...)
	}
	tail := 0
	for k := 1; k < utf8.UTFMax && k <= len(b); k++ {
		if utf8.RuneStart(b[len(b)-k]) {
			if !utf8.FullRune(b[len(b)-k:]) {
				tail = k
			}
			break
		}
	}
	whole := b[:len(b)-tail]
	c.notUTF8 = !utf8.Valid(whole)
	c.part = append(c.part[:0:0], b[len(whole):]...)
}

// isText reports whether octets, all of a body, are lines of text.
func (c *class) isText() bool { return !(c.nul || c.bare || c.long || c.cr) }

// textType is a Content-Type for octets without one.
func (c *class) textType() string {
	switch {
	case c.nul:
		return octetStream
	case !c.eight:
		return "text/plain; charset=us-ascii"
	case !c.notUTF8 && len(c.part) == 0:
		return "text/plain; charset=utf-8"
	}
	return "text/plain; charset=unknown-8bit"
}

const octetStream = "application/octet-stream"
