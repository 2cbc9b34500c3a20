package dot

import "bytes"

// Top cuts a message in wire form, in pieces cut anywhere, for TOP msg n of RFC
// 1939 section 7: the header, the empty line, and n lines of the body.
type Top struct {
	left int // lines of the body still wanted
	body bool
	col  uint8 // what the header's current line has: 0: nothing, 1: a CR, 2: more
}

// NewTop returns a Top for lines lines of the body, 0 or more.
func NewTop(lines int) Top { return Top{left: lines} }

// Take returns how many octets of piece belong to the answer, counted from its
// begin, and whether the answer is complete with them; the rest of the message
// need not be read then. A message that ends before is sent whole.
func (t *Top) Take(piece []byte) (n int, done bool) {
	for !t.body {
		if n == len(piece) {
			return n, false
		}
		n += t.header(piece[n:])
	}
	for t.left > 0 {
		i := bytes.IndexByte(piece[n:], '\n')
		if i < 0 {
			return len(piece), false
		}
		n += i + 1
		t.left--
	}
	return n, true
}

// header takes the rest of a header line, or of the empty line.
func (t *Top) header(b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if i >= 0 {
		t.body = t.col == 0 && i == 1 && b[0] == '\r' || t.col == 1 && i == 0
		t.col = 0
		return i + 1
	}
	if t.col == 0 && len(b) == 1 && b[0] == '\r' {
		t.col = 1
	} else {
		t.col = 2
	}
	return len(b)
}
