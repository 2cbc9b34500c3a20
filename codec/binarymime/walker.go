package binarymime

import (
	"bytes"
	"errors"
	"fmt"
)

// The limits of a message.
const (
	MaxDepth = 50     // how deep parts may be nested
	MaxParts = 10_000 // how many parts, of all kinds

	maxName      = 256      // octets of a field's name
	maxValue     = 16 << 10 // octets that are looked at of a field that matters
	maxBoundary  = 256      // octets; RFC 2046 section 5.1.1 allows 70
	maxDelimiter = 2*maxBoundary + len("----\r\n")
)

// ErrLimit: the message has more parts than can be converted, or deeper ones.
var ErrLimit = errors.New("binarymime: over the limits")

// handler gets what a walker meets, in order.
type handler interface {
	begin()              // a part begins, inside the current one, with its header
	field(f field)       // a header field begins
	headerText(b []byte) // octets of a header line, without its end
	headerLineEnd()
	endHeader(h *head, blank bool) // blank: a body follows, perhaps without an empty line before it
	body(b []byte)                 // octets of the current part that are in none of its parts
	end()                          // the current part has ended
	// delimiter is a line that ends the part before it and begins another, or ends the
	// multipart. lineEnd: a line end that belongs to it comes before it.
	delimiter(line []byte, lineEnd bool)
}

// frame is a part that is open.
type frame struct {
	head     head
	boundary string // the boundary, while the multipart's last delimiter has not come; else empty
}

// walker walks through a message, in plain form and cut anywhere.
type walker struct {
	h        handler
	open     []frame
	parts    int
	inHeader bool
	err      error

	line  []byte // what was read of a line whose kind is not known yet
	start bool   // at the start of a line, or in w.line

	// In a header:
	now   field // that is being read
	any   bool  // a field was read
	cr    bool  // a CR is held
	value []byte

	// In a body:
	held []byte // a line end, or a CR, that may belong to a delimiter
}

// write takes the next octets.
func (w *walker) write(src []byte) error {
	if w.parts == 0 {
		w.begin()
	}
	for len(src) > 0 && w.err == nil {
		switch {
		case w.inHeader && w.start:
			src = w.headerStart(src)
		case w.inHeader:
			src = w.headerLine(src)
		default:
			src = w.inBody(src)
		}
	}
	return w.err
}

// finish ends the message.
func (w *walker) finish() error {
	if w.parts == 0 {
		w.begin()
	}
	if len(w.line) > 0 && w.err == nil {
		w.decide(true)
	}
	if w.err != nil {
		return w.err
	}
	if w.inHeader {
		if !w.start {
			w.flushCR()
			w.h.headerLineEnd()
		}
		w.endHeader(false)
	}
	w.flushHeld()
	for len(w.open) > 0 {
		w.close()
	}
	return nil
}

// begin opens a part.
func (w *walker) begin() {
	if len(w.open) == MaxDepth {
		w.err = fmt.Errorf("%w: parts are nested deeper than %d", ErrLimit, MaxDepth)
		return
	}
	if w.parts == MaxParts {
		w.err = fmt.Errorf("%w: more than %d parts", ErrLimit, MaxParts)
		return
	}
	w.parts++
	f := frame{}
	if n := len(w.open); n > 0 {
		f.head.inDigest = w.open[n-1].head.digest()
	}
	w.open = append(w.open, f)
	w.inHeader, w.start, w.any, w.now = true, true, false, otherField
	w.h.begin()
}

func (w *walker) close() {
	w.h.end()
	w.open = w.open[:len(w.open)-1]
}

func (w *walker) top() *frame { return &w.open[len(w.open)-1] }

// maybeDelimiter reports whether line may be the start of a delimiter.
func (w *walker) maybeDelimiter(line []byte) bool {
	n := min(len(line), len(dashes))
	return len(line) < maxDelimiter && bytes.Equal(line[:n], dashes[:n]) && w.delimited()
}

// decide looks at w.line: all of a line if ended, else enough of its start to know that
// it is no delimiter, or a field.
func (w *walker) decide(ended bool) {
	line := w.line
	w.line = nil
	if i, last := w.match(line); i >= 0 && (ended || len(line) < maxDelimiter) {
		w.delimit(i, last, line)
		return
	}
	if w.inHeader && isField(line) {
		w.beginField(line)
		return
	}
	if w.inHeader {
		w.endHeader(true)
		w.line = line
		if w.inHeader || ended || !w.maybeDelimiter(line) {
			w.decide(ended) // a message in the message, or a body that begins with this line
		}
		return
	}
	w.flushHeld()
	w.start = false
	w.content(line)
	w.line = line[:0]
}

// match finds the multipart that line is a delimiter of, the innermost first.
func (w *walker) match(line []byte) (frame int, last bool) {
	if !bytes.HasPrefix(line, dashes) {
		return -1, false
	}
	name := bytes.TrimRight(line[len(dashes):], " \t\r\n")
	for i := len(w.open) - 1; i >= 0; i-- {
		b := w.open[i].boundary
		if b == "" || len(name) < len(b) || string(name[:len(b)]) != b {
			continue
		}
		switch rest := name[len(b):]; {
		case len(rest) == 0:
			return i, false
		case string(rest) == "--":
			return i, true
		}
	}
	return -1, false
}

var dashes = []byte("--")

// delimit ends what is open inside the multipart open[i], and begins its next part.
func (w *walker) delimit(i int, last bool, line []byte) {
	if w.inHeader {
		w.endHeader(false)
	}
	for len(w.open) > i+1 {
		w.close()
	}
	lineEnd := len(w.held) > 0
	w.held = w.held[:0]
	w.h.delimiter(bytes.TrimRight(line, " \t\r\n"), lineEnd)
	w.inHeader, w.start = false, true
	if last {
		w.open[i].boundary = ""
		return
	}
	w.begin()
}

// delimited reports whether a delimiter may come.
func (w *walker) delimited() bool {
	for i := range w.open {
		if w.open[i].boundary != "" {
			return true
		}
	}
	return false
}

// inBody takes octets of a body and returns what is left of src.
func (w *walker) inBody(src []byte) []byte {
	switch {
	case !w.delimited():
		w.flushHeld()
		w.h.body(src)
		return nil
	case !w.start:
		return w.content(src)
	case len(w.line) == 0 && src[0] != '-':
		w.flushHeld()
		w.start = false
		return src
	}
	n, ended := len(src), false
	if i := bytes.IndexByte(src, '\n'); i >= 0 {
		n, ended = i+1, true
	}
	if room := maxDelimiter - len(w.line); n > room {
		n, ended = room, false
	}
	w.line = append(w.line, src[:n]...)
	if ended || len(w.line) == maxDelimiter || len(w.line) > 1 && w.line[1] != '-' {
		w.decide(ended)
	}
	return src[n:]
}

// content takes octets inside a line, up to its end, which is held. It returns what is
// left.
func (w *walker) content(src []byte) []byte {
	if len(src) == 0 {
		return nil
	}
	if len(w.held) > 0 { // a CR
		if src[0] == '\n' {
			w.held, w.start = append(w.held, '\n'), true
			return src[1:]
		}
		w.flushHeld()
	}
	i := bytes.IndexByte(src, '\n')
	text, end := src, 0
	if i >= 0 {
		text, end, w.start = src[:i], 1, true
	}
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
		w.held = append(w.held, '\r')
	}
	if end > 0 {
		w.held = append(w.held, '\n')
	}
	if len(text) > 0 {
		w.h.body(text)
	}
	if i < 0 {
		return nil
	}
	return src[i+1:]
}

// flushHeld lets the line end go that was no delimiter's.
func (w *walker) flushHeld() {
	if len(w.held) > 0 {
		w.h.body(w.held)
		w.held = w.held[:0]
	}
}
