package dot

import "bytes"

// AppendStuffed appends src, whole lines in plain form, to dst in wire form. src
// begins at the start of a line, and only CRLF ends a line.
func AppendStuffed(dst, src []byte) []byte {
	from := 0
	for i := nextDot(src, 0); i >= 0; i = nextDot(src, i+1) {
		if startsLine(src, i) {
			dst = append(append(dst, src[from:i]...), '.')
			from = i
		}
	}
	return append(dst, src[from:]...)
}

// AppendUnstuffed appends src, whole lines in wire form without the terminator,
// to dst in plain form. src begins at the start of a line.
func AppendUnstuffed(dst, src []byte) []byte {
	var u Unstuffer
	return u.Append(dst, src)
}

// Unstuffer takes wire form, in pieces cut anywhere, to plain form. The zero
// value is ready for a message.
type Unstuffer struct {
	seen uint8 // 0: at the start of a line, 1: a CR was last, 2: anything else
}

// Append appends the plain form of src to dst. Nothing is held back.
func (u *Unstuffer) Append(dst, src []byte) []byte {
	if len(src) == 0 {
		return dst
	}
	from := 0
	for i := nextDot(src, 0); i >= 0; i = nextDot(src, i+1) {
		if u.startsLine(src, i) {
			dst = append(dst, src[from:i]...)
			from = i + 1
		}
	}
	u.see(src)
	return append(dst, src[from:]...)
}

// startsLine reports whether src[i] is the first octet of a line.
func (u *Unstuffer) startsLine(src []byte, i int) bool {
	switch i {
	case 0:
		return u.seen == 0
	case 1:
		return u.seen == 1 && src[0] == '\n'
	}
	return startsLine(src, i)
}

// see notes how src ends.
func (u *Unstuffer) see(src []byte) {
	n := len(src)
	switch {
	case src[n-1] == '\r':
		u.seen = 1
	case src[n-1] == '\n' && (n == 1 && u.seen == 1 || n > 1 && src[n-2] == '\r'):
		u.seen = 0
	default:
		u.seen = 2
	}
}

// startsLine reports whether src[i] is the first octet of a line, when src[0] is.
func startsLine(src []byte, i int) bool {
	return i == 0 || i > 1 && src[i-1] == '\n' && src[i-2] == '\r'
}

// nextDot returns the index of the first dot at or after from, or -1. Dots are
// rare in mail: searching them and looking back is faster than searching lines.
func nextDot(src []byte, from int) int {
	i := bytes.IndexByte(src[from:], '.')
	if i < 0 {
		return -1
	}
	return from + i
}
