package message

import (
	"bytes"
)

// maxListLine is where a line of addresses that has grown is folded.
const maxListLine = 500

// qualifier reads a list of addresses and finds where a domain is missing.
type qualifier struct {
	words int  // since the address, or what is between angle brackets, began
	end   int  // where the last word ends
	at    bool // there is a domain, or a route
	odd   bool // the word is no address: an encoded word
	glue  bool // the next word belongs to the one before it: "a.b", "a . b"
	angle bool
	done  bool // an address in angle brackets has ended
	found []int
}

// appendQualified appends the list of addresses in value to dst, with "@domain" after
// each that has none. What can't be read stays as it is, and so does all of it when it
// would grow by more than limit.
func appendQualified(dst, value []byte, domain string, limit int) []byte {
	found, ok := unqualified(value)
	if !ok || len(found) == 0 || len(found)*(len(domain)+4) > limit {
		return append(dst, value...)
	}
	line := bytes.LastIndexByte(dst, '\n') + 1
	from := 0
	for _, to := range found {
		piece := value[from:to]
		comma := bytes.IndexByte(piece, ',')
		if comma >= 0 && from > 0 && len(dst)-line > maxListLine && bytes.IndexByte(piece, '"') < 0 && bytes.IndexByte(piece, '(') < 0 {
			dst = append(append(dst, piece[:comma+1]...), "\r\n "...)
			line = len(dst)
			piece = bytes.TrimLeft(piece[comma+1:], " \t")
		}
		start := len(dst)
		dst = append(dst, piece...)
		if n := bytes.LastIndexByte(dst[start:], '\n'); n >= 0 {
			line = start + n + 1
		}
		dst = append(append(dst, '@'), domain...)
		from = to
	}
	return append(dst, value[from:]...)
}

// unqualified are the places in value where "@" and a domain are to be put. Not ok: a
// quotation, a comment or an angle bracket has no end.
func unqualified(value []byte) (places []int, ok bool) {
	var q qualifier
	for i := 0; i < len(value); {
		n := 1
		switch c := value[i]; {
		case c == '(':
			n = commentLen(value[i:])
		case c == '"':
			if n = quotedLen(value[i:], '"'); n > 0 {
				q.word(i, i+n)
			}
		case c == '[':
			if n = quotedLen(value[i:], ']'); n > 0 {
				q.word(i, i+n)
			}
		case c == '<' && !q.angle:
			q = qualifier{found: q.found, angle: true}
		case c == '>' && q.angle:
			q.close()
			q.done = true
		case c == '<', c == '>':
			return nil, false
		case c == ':' && !q.angle:
			q = qualifier{found: q.found} // the name of a group
		case (c == ',' || c == ';') && !q.angle:
			q.close()
		case c == '@':
			q.at, q.glue = true, true
		case c == '.':
			q.dot(i)
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			n = wordLen(value[i:])
			q.word(i, i+n)
			q.odd = q.odd || bytes.HasPrefix(value[i:], []byte("=?"))
		}
		if n == 0 {
			return nil, false
		}
		i += n
	}
	if q.angle {
		return nil, false
	}
	q.close()
	return q.found, true
}

// word is one word at value[from:to].
func (q *qualifier) word(from, to int) {
	if !q.glue && (q.words == 0 || q.end != from) {
		q.words++
	}
	q.end, q.glue = to, false
}

func (q *qualifier) dot(at int) {
	if q.words == 0 {
		q.words = 1
	}
	q.end, q.glue = at+1, true
}

// close ends an address.
func (q *qualifier) close() {
	if q.words == 1 && !q.at && !q.odd && !q.done {
		q.found = append(q.found, q.end)
	}
	*q = qualifier{found: q.found}
}

// wordLen is the length of the atom that s begins with, at least 1.
func wordLen(s []byte) int {
	n := bytes.IndexAny(s[1:], " \t\r\n()<>[]:;@,.\"")
	if n < 0 {
		return len(s)
	}
	return n + 1
}

// quotedLen is the length of what s begins with, up to the octet end; 0: there is none.
func quotedLen(s []byte, end byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case end:
			return i + 1
		}
	}
	return 0
}

// commentLen is the length of the comment that s begins with; 0: it has no end.
func commentLen(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
