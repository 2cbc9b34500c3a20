package binarymime

import (
	"encoding/base64"
	"strings"
)

// Converter reads a message the second time and makes lines of it.
type Converter struct {
	w    walker
	plan *Plan
	next int // act
	open []converted
	skip bool // the field goes
	dst  []byte
}

// converted is a part that is open.
type converted struct {
	act   act
	coder coder64
	lines mender
}

// NewConverter begins a message by its plan.
func NewConverter(p *Plan) *Converter { return &Converter{plan: p} }

// Append appends what src becomes, in plain form with CRLF, to dst. Some of it may be held
// back. src is cut anywhere, and not as it was for the Survey.
func (c *Converter) Append(dst, src []byte) []byte {
	c.w.h, c.dst = c, dst
	_ = c.w.write(src) // the Survey had no error
	return c.take()
}

// End appends what is still held back. The last line may lack its CRLF.
func (c *Converter) End(dst []byte) []byte {
	c.w.h, c.dst = c, dst
	_ = c.w.finish()
	return c.take()
}

func (c *Converter) take() []byte {
	dst := c.dst
	c.dst = nil
	return dst
}

func (c *Converter) top() *converted { return &c.open[len(c.open)-1] }

func (c *Converter) begin() {
	c.open = append(c.open, converted{act: c.plan.acts[c.next]})
	c.next++
}

func (c *Converter) field(f field) {
	a := &c.top().act
	c.skip = f == transferEncoding && a.encoding != notSaid || f == contentType && a.contentType != ""
}

func (c *Converter) headerText(b []byte) {
	if c.skip {
		return
	}
	for _, o := range b {
		if o == '\r' || o == 0 {
			o = ' '
		}
		c.dst = append(c.dst, o)
	}
}

func (c *Converter) headerLineEnd() {
	if !c.skip {
		c.dst = append(c.dst, "\r\n"...)
	}
}

var encodingNames = [...]string{sevenBit: "7bit", eightBit: "8bit", base64Encoding: "base64"}

func (c *Converter) endHeader(_ *head, blank bool) {
	a := &c.top().act
	if a.version {
		c.dst = append(c.dst, "MIME-Version: 1.0\r\n"...)
	}
	if a.contentType != "" {
		c.dst = append(append(append(c.dst, "Content-Type: "...), a.contentType...), "\r\n"...)
	}
	if a.encoding != notSaid {
		c.dst = append(append(append(c.dst, "Content-Transfer-Encoding: "...), encodingNames[a.encoding]...), "\r\n"...)
	}
	if blank {
		c.dst = append(c.dst, "\r\n"...)
	}
	c.skip = false
}

func (c *Converter) body(b []byte) {
	switch p := c.top(); p.act.form {
	case asIs:
		c.dst = append(c.dst, b...)
	case encode:
		c.dst = p.coder.append(c.dst, b)
	default:
		c.dst = p.lines.append(c.dst, b, p.act.form)
	}
}

func (c *Converter) end() {
	c.flush()
	c.open = c.open[:len(c.open)-1]
}

func (c *Converter) flush() {
	p := c.top()
	c.dst = p.coder.end(c.dst)
	c.dst = p.lines.end(c.dst, p.act.form)
}

func (c *Converter) delimiter(line []byte, lineEnd bool) {
	c.flush()
	if lineEnd {
		c.dst = append(c.dst, "\r\n"...)
	}
	c.dst = append(append(c.dst, line...), "\r\n"...)
}

// coder64 writes base64 in lines of 76 octets, with CRLF between them.
type coder64 struct {
	left []byte // the octets left over from a line
	any  bool
}

const lineOctets = 57

func (c *coder64) append(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), lineOctets-len(c.left))
		c.left = append(c.left, src[:n]...)
		src = src[n:]
		if len(c.left) == lineOctets {
			dst = c.end(dst)
		}
	}
	return dst
}

func (c *coder64) end(dst []byte) []byte {
	if len(c.left) == 0 {
		return dst
	}
	if c.any {
		dst = append(dst, "\r\n"...)
	}
	c.any = true
	dst = base64.StdEncoding.AppendEncode(dst, c.left)
	c.left = c.left[:0]
	return dst
}

// mender makes lines of octets that have other line ends, NULs, or lines that are too
// long. It never begins a line with an octet that did not begin one: that could be a
// delimiter.
type mender struct {
	cr     bool
	col    int
	dash   bool // the line began with one
	escape int  // octets of =XX that are still to come
}

func (m *mender) append(dst, src []byte, f form) []byte {
	for _, o := range src {
		if o == '\n' {
			dst = m.lineEnd(dst)
			continue
		}
		dst = m.end(dst, f)
		switch o {
		case '\r':
			m.cr = true
		case 0:
			dst = m.stray(dst, "=00", f)
		default:
			dst = m.octet(dst, o, f)
		}
	}
	return dst
}

// end lets a CR go that has no LF.
func (m *mender) end(dst []byte, f form) []byte {
	if !m.cr {
		return dst
	}
	m.cr = false
	return m.stray(dst, "=0D", f)
}

// stray writes what can't be in a line: escaped, or as a blank. With blanks at its end a
// line may be a delimiter that was none.
func (m *mender) stray(dst []byte, escaped string, f form) []byte {
	switch {
	case f == mendQuoted:
	case m.dash:
		return m.octet(dst, '?', f)
	default:
		return m.octet(dst, ' ', f)
	}
	m.escape = 0
	for i := range len(escaped) {
		dst = m.octet(dst, escaped[i], f)
	}
	return dst
}

func (m *mender) lineEnd(dst []byte) []byte {
	*m = mender{}
	return append(dst, "\r\n"...)
}

// softLine is from where on a line of quoted-printable is broken, base64Line how long a
// line of base64 becomes at most.
const (
	softLine   = 900
	base64Line = 76
)

func (m *mender) octet(dst []byte, o byte, f form) []byte {
	switch {
	case f == mendQuoted && m.col >= softLine && m.escape == 0:
		dst = m.lineEnd(append(dst, '='))
		if o == '-' {
			return m.stray(dst, "=2D", f)
		}
	case f == mendQuoted && m.col >= maxLine, f == mendBase64 && m.col >= base64Line, f == mendLines && m.col >= maxLine:
		dst = append(m.lineEnd(dst), ' ')
		m.col = 1
	}
	if f == mendQuoted {
		m.escape = max(m.escape-1, 0)
		if o == '=' {
			m.escape = 2
		}
	}
	m.dash = m.dash || m.col == 0 && o == '-'
	m.col++
	return append(dst, o)
}

// Field is a trace field for the conversion, as Sendmail writes it: whole
// lines, with CRLF.
func (p *Plan) Field(host, id string) string {
	text := "X-MIME-Autoconverted: from binary to "
	if p.Encoded > 0 {
		text += "base64"
	} else {
		text += "lines of text"
	}
	text += " by " + host + " id " + id
	if len(p.Broken) > 0 {
		text += ";\r\n\tno longer valid: " + strings.Join(p.Broken, ", ")
	}
	return text + "\r\n"
}
