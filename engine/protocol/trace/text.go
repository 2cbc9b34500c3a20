package trace

import (
	"bytes"
	"fmt"
)

// text is a message, of which the header is shown, or a listing, of which the first lines
// are.
type text struct {
	open    bool
	shown   int    // lines
	hiding  bool   // the rest is only counted
	listing bool   // there is no header
	bare    bool   // the header is not shown
	hidden  int64  // octets
	part    []byte // begin of a line whose end has not come
	cut     int    // octets of that line that are not in part
	tail    tail   // state of dot
}

// tail is where in the end of a message or listing the octets are: CRLF "." CRLF. It begins
// after a CRLF.
type tail uint8

const ending = "\r\n.\r\n"

// dot returns how many of the octets belong to the text with its end; -1: all, and there is
// no end.
func (t *text) dot(octets []byte) int {
	if !t.open {
		t.tail = 2 // the status line has a CRLF
	}
	for i, c := range octets {
		switch {
		case c == ending[t.tail]:
			t.tail++
		case c == '\r':
			t.tail = 1
		default:
			t.tail = 0
		}
		if int(t.tail) == len(ending) {
			return i + 1
		}
	}
	return -1
}

// The numbers of lines that are shown of a header and of a listing.
const (
	headerLines  = 100
	listingLines = 20
)

// add takes octets.
func (t *text) add(octets []byte, emit func(string)) {
	t.open = true
	for len(octets) > 0 {
		if t.hiding {
			t.hidden += int64(len(octets))
			return
		}
		line, rest, whole := bytes.Cut(octets, []byte{'\n'})
		octets = rest
		if !whole || len(t.part) > 0 || t.cut > 0 {
			n := min(len(line), MaxLine+1-len(t.part))
			t.part, t.cut = append(t.part, line[:n]...), t.cut+len(line)-n
			if !whole {
				return
			}
			line = t.part
		}
		t.line(bytes.TrimSuffix(line, []byte{'\r'}), t.cut, emit)
		t.part, t.cut = t.part[:0], 0
	}
}

// line shows a line, unless the header or the listing has been shown.
func (t *text) line(line []byte, cut int, emit func(string)) {
	words := clean(line)
	if cut > 0 {
		words += fmt.Sprintf(" (%d more octets)", cut)
	}
	emit(words)
	t.shown++
	if t.listing {
		t.hiding = t.shown >= listingLines
	} else {
		t.hiding = len(line) == 0 || t.shown >= headerLines
	}
}

// end writes what was not shown.
func (t *text) end(emit func(string)) {
	if !t.open {
		return
	}
	if n := int64(len(t.part) + t.cut); n > 0 {
		t.hidden += n
	}
	if t.hidden > 0 {
		if t.bare {
			emit(fmt.Sprintf("(%d octets of the message)", t.hidden))
		} else {
			emit(fmt.Sprintf("(%d octets more)", t.hidden))
		}
	}
	*t = text{}
}
