package dot

import "bytes"

// Binary reads a message of BODY=BINARYMIME (RFC 3030 section 3), in which CR, LF and
// NUL may be anywhere, in pieces cut anywhere. It is used as a Stuffer is, and stuffs
// the dots that begin a line; but only CRLF begins one, and nothing is skipped or
// mended. What comes out is wire form when IsText says so, and otherwise what an
// [Unstuffer] turns back. The zero value is ready.
type Binary struct {
	Counts      // LongestLine: as long as the message is text
	place       linePlace
	stuffed     bool // the dot that comes next has its dot before it
	notText, cr bool // cr: the last octet was a CR
	line        int  // octets of the current line
}

// linePlace is where in a line a Binary is.
type linePlace uint8

const (
	atStart linePlace = iota // where a line begins
	afterCR
	elsewhere
)

// maxTextLine is the most octets of a line that RFC 5321 section 4.5.3.1.6 has every
// host take, with CRLF.
const maxTextLine = 1000

// IsText reports whether a whole message is lines of text, as they
// may go by DATA: CR and LF only as CRLF, no NUL, no line over 998 octets. The CRLF of
// the last line may be missing.
func (b *Binary) IsText() bool {
	return !b.notText && !b.cr && b.line+len("\r\n") <= maxTextLine
}

// AtLineStart reports whether what was scanned ends with CRLF or is empty.
func (b *Binary) AtLineStart() bool { return b.place == atStart }

// CountCRLF counts a CRLF that the caller has put at the end of a message that lacks it.
func (b *Binary) CountCRLF() {
	b.Wire += 2
	b.Size += 2
	b.LongestLine = max(b.LongestLine, b.line+2)
	b.line, b.place = 0, atStart
}

// Scan finds the run of src, from its begin, that needs no dot put in. v is More or
// Stuff; skip is 0.
func (b *Binary) Scan(src []byte) (n, skip int, v Verdict) {
	for i := nextDot(src, 0); i >= 0; i = nextDot(src, i+1) {
		if at := b.after(src[:i]); at == atStart && !(i == 0 && b.stuffed) {
			b.take(src[:i])
			b.stuffed = true
			b.Wire++
			return i, 0, Stuff
		}
	}
	b.stuffed = b.stuffed && len(src) == 0
	b.take(src)
	return len(src), 0, More
}

// after returns the place of the octet after src, when src comes next.
func (b *Binary) after(src []byte) linePlace {
	n := len(src)
	switch {
	case n == 0:
		return b.place
	case src[n-1] == '\r':
		return afterCR
	case src[n-1] == '\n' && (n == 1 && b.place == afterCR || n > 1 && src[n-2] == '\r'):
		return atStart
	}
	return elsewhere
}

// take counts run and looks at what it is.
func (b *Binary) take(run []byte) {
	b.place = b.after(run)
	b.Wire += int64(len(run))
	b.Size += int64(len(run))
	b.EightBit = b.EightBit || eightBit(run)
	if b.notText || len(run) == 0 {
		return
	}
	b.notText = bytes.IndexByte(run, 0) >= 0 || !b.lines(run)
}

// lines counts the lines of run, which is not empty: false when CR or LF is alone, or a
// line is too long. That no CR is alone is proved by counting: there are as many as LFs.
func (b *Binary) lines(run []byte) bool {
	crs := bytes.Count(run, []byte{'\r'})
	if b.cr {
		crs++
	}
	lfs, cr := 0, b.cr
	rest := run
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		lfs++
		if i > 0 {
			cr = rest[i-1] == '\r'
		}
		b.line += i + 1
		if !cr || b.line > maxTextLine {
			return false
		}
		b.LongestLine = max(b.LongestLine, b.line)
		b.line, rest, cr = 0, rest[i+1:], false
	}
	b.line += len(rest)
	if b.cr = run[len(run)-1] == '\r'; b.cr {
		crs--
	}
	return crs == lfs && b.line <= maxTextLine
}
