package dsn

import (
	"bytes"
	"strconv"
)

// maxBoundary is the most octets of a boundary (RFC 2046 section 5.1.1).
const maxBoundary = 70

// boundary is "QUEUEID.unixtime/host", as Postfix has it, and with a number in it
// when the returned text knows that one: "QUEUEID.unixtime.1/host". The parts made
// here can't hold it: no line of theirs begins with a hyphen.
//
// Counting up until a boundary does not occur is quadratic in a message made to
// hold them all, and queue id and time can be guessed. So the numbers that occur
// are gathered in one pass.
func (r *Report) boundary() string {
	b := appendToken(make([]byte, 0, maxBoundary), r.QueueID, 30)
	b = append(b, '.')
	b = strconv.AppendInt(b, r.Now.Unix(), 10)
	if bytes.Contains(r.Original, b) {
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(unused(r.Original, b)), 10)
	}
	b = append(b, '/')
	return string(appendToken(b, r.ReportingMTA, maxBoundary-len(b)))
}

// unused is the least number from 1 on that does not occur in text after stem.
func unused(text, stem []byte) int {
	seen := make(map[int]bool)
	for {
		at := bytes.Index(text, stem)
		if at < 0 {
			break
		}
		text = text[at+len(stem):]
		digits := 0
		for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
			digits++
		}
		// A number too large for an int is none that the count below comes to.
		if n, err := strconv.Atoi(string(text[:digits])); err == nil {
			seen[n] = true
		}
	}
	for n := 1; ; n++ {
		if !seen[n] {
			return n
		}
	}
}

// appendToken appends at most limit octets of s, with "-" for characters that a
// boundary can't have.
func appendToken(dst []byte, s string, limit int) []byte {
	for i := range min(len(s), limit) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '.') {
			c = '-'
		}
		dst = append(dst, c)
	}
	return dst
}
