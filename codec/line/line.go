// Package line finds the command lines of SMTP and POP3 in a stream that is cut
// anywhere.
//
// # What it does
//
// The caller shows what it has read. Reader.Next returns the first line without
// its end, or More while there is no whole line; then the caller shows the
// same octets again with more after them. A line borrows from the input:
// nothing is copied or allocated.
//
// A line that exceeds the limit is one error. It is swallowed while it arrives
// and reported at its end, so that its tail is never taken for a command, and
// so that one line has one reply.
//
// # Line ends
//
// A command line ends with CRLF or with LF alone, as in Postfix and Sendmail,
// because nc sends LF alone for a line that is typed in. That is safe where the same
// leniency in message data is not: smuggling lives on two servers that differ
// about the end of a *message*, and that end is found by package dot, which
// knows only CRLF "." CRLF. A command line never has text from a third party: a relay
// that lets LF from outside into a command lets CRLF in too. A CR anywhere but before the LF, a NUL and other control octets stay part
// of the line: every argument parser refuses them.
package line

import "bytes"

// Verdict is what Next found.
type Verdict uint8

const (
	// More: there is no whole line. The octets that were not consumed are shown
	// again with more after them.
	More Verdict = iota
	// Whole: a line was found.
	Whole
	// TooLong: the end of a line over the limit was found; all of it is consumed.
	TooLong
)

// Reader finds lines. The zero Reader is at the start of a line.
type Reader struct {
	swallowing bool // inside a line that is over its limit
}

// Next looks for a line in src and returns how many octets of src it has used. The
// line is without its CRLF or LF and borrowed from src. limit is the most octets
// a line may have, counted with its end as RFC 5321 section 4.5.3.1.4 counts
// them; while no whole line is there, less than limit octets stay unconsumed.
func (r *Reader) Next(src []byte, limit int) (line []byte, n int, v Verdict) {
	i := bytes.IndexByte(src, '\n')
	if i < 0 {
		if r.swallowing || len(src) >= limit {
			r.swallowing = true
			return nil, len(src), More
		}
		return nil, 0, More
	}
	if r.swallowing || i >= limit {
		r.swallowing = false
		return nil, i + 1, TooLong
	}
	line = src[:i]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, i + 1, Whole
}
