package dot

import "bytes"

// Verdict reports why a scan stopped. In all cases src[:n] is message, and the
// skip octets after it are to be consumed and are not message.
type Verdict uint8

const (
	// More: what is left of src, at most 2 octets, is undecided. Present it again
	// with more input after it.
	More Verdict = iota
	// End: the terminator was found and is skipped. Scanner only.
	End
	// BareLF: a LF without CR before it is skipped, and a dot before it if that
	// is stuffed. To normalize, put CRLF into the message after src[:n] and call
	// CountCRLF.
	BareLF
	// BareCR: a CR without LF after it is skipped, and a stuffed dot before it.
	BareCR
	// Stuff: put a "." into the wire form after src[:n]; it is counted already. A
	// Stuffer reports it, and any Scanner for a line after a bare line end.
	Stuff
	// LoneDot: a dot that begins a line, and that no second one follows, is skipped:
	// it is not part of the line, whatever follows (RFC 5321 section 4.5.2). Scanner only.
	LoneDot
)

// Counts is what is known of a message so far.
type Counts struct {
	Wire        int64 // octets in wire form
	Size        int64 // octets without stuffed dots (RFC 1939 section 11, RFC 1870 section 5)
	EightBit    bool  // some octet is above 127
	LongestLine int   // octets of the longest finished line, with CRLF, without a stuffed dot (RFC 5321 section 4.5.3.1.6)
}

// place is where in a line a scan has stopped.
type place uint8

const (
	lineStart  place = iota // after CRLF, or at the very start
	insideLine              // octets of the line were seen
	afterBare               // at the start of a line for us, not for the sender: a dot is not a stuffed one
)

// Scanner reads a message in wire form as it arrives, in pieces cut anywhere.
// The zero value is ready for a message.
//
//	for {
//		n, skip, v := s.Scan(src)
//		draft.Append(src[:n])
//		src = src[n+skip:]
//		switch v { … }
//	}
type Scanner struct {
	Counts
	at    place
	crs   bool // a bare CR was seen: counting proves nothing any more
	line  int  // octets of the current line
	plain bool // the input is not stuffed: for a Stuffer
}

// Reset makes s ready for the next message.
func (s *Scanner) Reset() { *s = Scanner{} }

// AtLineStart reports whether what was scanned ends with CRLF or is empty.
func (s *Scanner) AtLineStart() bool { return s.at != insideLine }

// CountCRLF counts a CRLF that the caller has put into the message, in place of a
// bare LF or at the end of a body that lacks it.
func (s *Scanner) CountCRLF() {
	s.Wire += 2
	s.Size += 2
	s.endLine()
	s.at = afterBare
}

// Scan finds the run of src, from its begin, that is message in wire form: src[:n],
// borrowed and never changed. What stopped the run is in v, and skip octets of
// src after the run are not message. Call it again with what is after them,
// unless v is More or End. After End the scanner must be Reset.
func (s *Scanner) Scan(src []byte) (n, skip int, v Verdict) {
	for n < len(src) {
		if !s.crs {
			n += s.lines(src[n:min(n+blockLen, len(src))])
			if n == len(src) {
				break
			}
		}
		k, skip, v, stop := s.step(src[n:])
		n += k
		if stop {
			return n, skip, v
		}
	}
	return n, 0, More
}

// blockLen is how much is looked at twice by lines: it stays in the first-level
// cache, and bounds what is lost when the proof fails.
const blockLen = 16 << 10

// lines takes whole lines from the start of src as long as they hold no surprise,
// and returns how many octets that is. It is the fast path of Scan and may stop
// anywhere; step goes on.
func (s *Scanner) lines(src []byte) int {
	i, lines, dots, longest := 0, 0, 0, s.LongestLine
	from, at := -s.line, s.at
	for i < len(src) {
		if src[i] == '.' && at != insideLine {
			if at == afterBare || s.plain || i+1 == len(src) || src[i+1] != '.' {
				break
			}
			dots++
			from++
		}
		j := bytes.IndexByte(src[i:], '\n')
		if j < 1 || src[i+j-1] != '\r' {
			if at != insideLine && src[i] == '.' {
				dots--
			}
			break
		}
		i += j + 1
		lines++
		longest = max(longest, i-from)
		from, at = i, lineStart
	}
	if i == 0 {
		return 0
	}
	if bytes.Count(src[:i], []byte{'\r'}) != lines {
		s.crs = true
		return 0
	}
	s.count(src[:i], dots)
	s.at, s.line, s.LongestLine = lineStart, 0, longest
	return i
}

// step takes what src begins with up to the end of the line or the first
// surprise: src[:n]. stop: return that to the caller with skip and v.
func (s *Scanner) step(src []byte) (n, skip int, v Verdict, stop bool) {
	dots := 0
	if src[0] == '.' && s.at != insideLine {
		if s.at == afterBare || s.plain {
			s.at = insideLine
			s.Wire++
			return 0, 0, Stuff, true
		}
		if skip, v, stop := s.firstDot(src); stop {
			return 0, skip, v, true
		}
		dots = 1
	}
	i := lineEnd(src)
	s.take(src[:i], dots)
	switch {
	case i == len(src), i+1 == len(src) && src[i] == '\r':
		return i, 0, More, true
	case src[i] == '\n':
		s.at = afterBare
		return i, 1, BareLF, true
	case src[i+1] != '\n':
		s.bareCR()
		return i, 1, BareCR, true
	}
	s.count(src[i:i+2], 0)
	s.endLine()
	s.at = lineStart
	return i + 2, 0, More, false
}

// firstDot looks at a line, as the sender sees it, that begins with a dot. stop: that
// dot is not followed by a second one, which it would stuff: the line is the
// terminator, or its begin is undecided, or the dot goes. Where what follows it is a
// surprise, the dot goes with it, because a dot left alone could become a terminator.
func (s *Scanner) firstDot(src []byte) (skip int, v Verdict, stop bool) {
	switch {
	case len(src) == 1, len(src) == 2 && src[1] == '\r':
		return 0, More, true
	case src[1] == '\n':
		s.at = afterBare
		return 2, BareLF, true
	case src[1] == '.':
		return 0, More, false
	case src[1] != '\r':
		return 1, LoneDot, true
	case src[2] == '\n':
		return 3, End, true
	}
	s.bareCR()
	return 2, BareCR, true
}

// bareCR notes a CR that the caller drops. At the start of a line this start is
// ours from now on: a dot that follows is not a stuffed one.
func (s *Scanner) bareCR() {
	s.crs = true
	if s.at == lineStart {
		s.at = afterBare
	}
}

// take counts run, a part of one line without its end.
func (s *Scanner) take(run []byte, dots int) {
	if len(run) == 0 {
		return
	}
	s.count(run, dots)
	s.line += len(run) - dots
	s.at = insideLine
}

func (s *Scanner) count(run []byte, dots int) {
	s.Wire += int64(len(run))
	s.Size += int64(len(run) - dots)
	s.EightBit = s.EightBit || eightBit(run)
}

// endLine ends the current line with the CRLF that was counted.
func (s *Scanner) endLine() {
	s.LongestLine = max(s.LongestLine, s.line+len("\r\n"))
	s.line = 0
}

// lineEnd returns the index of the first CR or LF in b, or len(b). It looks at
// a bounded piece at a time: searching both to the end of a long input would
// take quadratic time when one of them is missing.
func lineEnd(b []byte) int {
	const window = 256
	for from := 0; from < len(b); from += window {
		w := b[from:min(from+window, len(b))]
		if i := bytes.IndexByte(w, '\n'); i >= 0 {
			w = w[:i+1]
		}
		if i := bytes.IndexByte(w, '\r'); i >= 0 {
			return from + i
		}
		if n := len(w); w[n-1] == '\n' {
			return from + n - 1
		}
	}
	return len(b)
}
