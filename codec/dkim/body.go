package dkim

import "io"

// Canonicalization is how much a header or a body may change on its way (RFC 6376
// section 3.4).
type Canonicalization uint8

// The canonicalizations.
const (
	Simple  Canonicalization = iota // nothing but empty lines at the end of the body
	Relaxed                         // white space, and the case of field names
)

// String is the word of the c= tag.
func (c Canonicalization) String() string { return [...]string{"simple", "relaxed"}[c] }

// Body brings a body into its canonical form as its octets come, and writes that to a
// hash. What it keeps is a constant: see the package comment.
type Body struct {
	out     pieces
	relaxed bool

	ends    int64 // line ends that are written when something follows them
	blank   bool  // white space that is written if its line goes on; relaxed only
	cr      bool  // the last octet was CR
	started bool  // something but line ends and white space was written
}

// NewBody returns a Body that writes to w.
func NewBody(w io.Writer, c Canonicalization) *Body {
	return &Body{out: pieces{w: w}, relaxed: c == Relaxed}
}

// Write takes the next octets, cut anywhere, with their dots unstuffed. A line ends with
// CRLF or LF; a CR elsewhere is an octet like others. The error is that of the hash, which
// has none.
func (b *Body) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		switch c := p[i]; {
		case c == '\n':
			b.cr, b.blank = false, false
			b.ends++
			i++
		case b.cr:
			b.cr = false
			b.text(loneCR)
		case c == '\r':
			b.cr = true
			i++
		case b.relaxed && (c == ' ' || c == '\t'):
			b.blank = true
			i++
		default:
			n := i + 1
			for n < len(p) && (p[n] > ' ' || p[n] != '\r' && p[n] != '\n' && !(b.relaxed && (p[n] == ' ' || p[n] == '\t'))) {
				n++
			}
			b.text(p[i:n])
			i = n
		}
	}
	return len(p), nil
}

var loneCR = []byte{'\r'}

// text writes octets that are no white space, after what had to wait for them.
func (b *Body) text(p []byte) {
	for ; b.ends > 0; b.ends-- {
		b.out.add("\r\n")
	}
	if b.blank {
		b.blank = false
		b.out.add(" ")
	}
	b.started = true
	b.out.octets(p)
}

// Close ends the body.
func (b *Body) Close() error {
	if b.cr {
		b.cr = false
		b.text(loneCR)
	}
	if b.started || !b.relaxed { // sections 3.4.3 and 3.4.4: an empty body
		b.out.add("\r\n")
	}
	b.out.flush()
	return nil
}

// pieces gathers small writes for a hash.
type pieces struct {
	w    io.Writer
	used int
	buf  [1024]byte
}

func (p *pieces) add(s string) {
	if p.used+len(s) > len(p.buf) {
		p.flush()
	}
	p.used += copy(p.buf[p.used:], s)
}

func (p *pieces) octet(c byte) {
	if p.used == len(p.buf) {
		p.flush()
	}
	p.buf[p.used] = c
	p.used++
}

func (p *pieces) octets(b []byte) {
	if p.used+len(b) > len(p.buf) {
		p.flush()
		if len(b) > len(p.buf)/2 {
			_, _ = p.w.Write(b) // a hash takes all
			return
		}
	}
	p.used += copy(p.buf[p.used:], b)
}

func (p *pieces) flush() {
	if p.used > 0 {
		_, _ = p.w.Write(p.buf[:p.used])
		p.used = 0
	}
}
