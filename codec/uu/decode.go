package uu

import (
	"bytes"
	"fmt"
)

// Error is a fault in a line that can't be repaired.
type Error struct {
	Line   int // the line's number in the text, from 1
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Event is why Decode has returned before the end of its input.
type Event uint8

// The events.
const (
	More  Event = iota // none: all of the text was taken
	Begin              // a line of begin was read: Header has it
	End                // the file is whole
)

// state is where a Decoder is in its text.
type state uint8

const (
	outside state = iota // looks for a line of begin
	within               // lines of a file
	ending               // after the line of zero octets: end has to come
	base64d              // lines of base64
	padded               // after the last line of base64
)

// maxLine is too long for a line: it bounds the kept part of a line that is cut by the
// end of a piece.
// Within a file it is an error, elsewhere it is ignored.
const maxLine = 1024

// Decoder finds the files in a text that comes in pieces, and decodes them. The zero
// Decoder is ready. It belongs to one goroutine.
type Decoder struct {
	state  state
	number int    // lines read
	line   []byte // the beginning of a line that was cut by the end of the last piece
	modern bool   // "`" was seen in this file
	header Header
	err    error
}

// Header returns the header at the last Begin.
func (d *Decoder) Header() Header { return d.header }

// Decode reads text, appends the octets of the open file to dst, and returns how
// much of text it has taken: all, or less at a Begin or an End, after which the next
// call goes on. Text outside of files is ignored. An error is an [*Error], and
// final; what was decoded before it is in out. text is borrowed for the call.
func (d *Decoder) Decode(dst, text []byte) (out []byte, n int, ev Event, err error) {
	for n < len(text) && d.err == nil {
		if d.state == within && len(d.line) == 0 {
			var lines, octets int
			dst, lines, octets = appendRun(dst, text[n:])
			if lines > 0 {
				d.modern = d.modern || bytes.IndexByte(text[n:n+octets], '`') >= 0
				d.number += lines
				n += octets
				continue
			}
		}
		end := bytes.IndexByte(text[n:], '\n')
		if end < 0 {
			d.keep(text[n:])
			return dst, len(text), More, d.err
		}
		line := text[n : n+end]
		if len(d.line) > 0 {
			d.keep(line)
			line = d.line
		}
		n += end + 1
		dst, ev = d.take(dst, line)
		d.line = d.line[:0]
		if ev != More {
			return dst, n, ev, d.err
		}
	}
	return dst, n, More, d.err
}

// Close ends the text. Text after the last line end is one more line, so it may hold
// octets of a file and its End.
func (d *Decoder) Close(dst []byte) (out []byte, ev Event, err error) {
	if len(d.line) > 0 && d.err == nil {
		dst, ev = d.take(dst, d.line)
		d.line = d.line[:0]
	}
	if d.state != outside && d.err == nil {
		d.fail("the text ends within the file %q: no line \"end\"", d.header.Name)
	}
	return dst, ev, d.err
}

// keep keeps the beginning of a line.
func (d *Decoder) keep(part []byte) {
	d.line = append(d.line, part[:min(len(part), maxLine-len(d.line))]...)
}

func (d *Decoder) fail(format string, args ...any) {
	d.err = &Error{max(d.number, 1), fmt.Sprintf(format, args...)}
}

// take reads one line, without its LF.
func (d *Decoder) take(dst, line []byte) (out []byte, ev Event) {
	d.number++
	if len(line) >= maxLine {
		if d.state != outside {
			d.fail("the line has %d characters or more", maxLine)
		}
		return dst, More
	}
	line = bytes.TrimRight(line, "\r")
	switch d.state {
	case outside:
		h, ok := ParseBegin(line)
		if !ok {
			return dst, More
		}
		d.header, d.modern, d.state = h, false, within
		if h.Base64 {
			d.state = base64d
		}
		return dst, Begin
	case base64d, padded:
		return d.takeBase64(dst, line)
	}
	if isEnd(line) {
		d.state = outside
		return dst, End
	}
	if d.state == ending {
		d.fail("%s after the line of zero octets: expected \"end\"", quoted(line))
		return dst, More
	}
	return d.takeLine(dst, line), More
}

// isEnd reports whether a line is the end of a file. No line of octets looks like it:
// "n" and "d" are not in the alphabet.
func isEnd(line []byte) bool {
	line = bytes.TrimRight(line, " \t")
	return string(line) == "end" || string(line) == "End"
}

// takeLine decodes a line of octets that is not as all the others.
func (d *Decoder) takeLine(dst, line []byte) []byte {
	switch string(bytes.TrimRight(line, " \t")) {
	case "`":
		d.state = ending
		return dst
	case "":
		if !d.modern { // in the modern alphabet no line of octets is blank, so it is one that was put in
			d.state = ending // the blank that means zero may be lost
		}
		return dst
	}
	n := int(value[line[0]])
	if n > 63 {
		d.fail("%s can't begin with the number of its octets: characters from the blank to \"`\" do that", quoted(line))
		return dst
	}
	chars := line[1:]
	whole, least := (n+2)/3*4, (n*8+5)/6
	if extra := bytes.TrimRight(chars[min(whole, len(chars)):], " \t"); len(extra) > 1 { // one is a checksum
		d.fail("%s has %d characters for %d octets: expected %d", quoted(line), len(chars), n, whole)
		return dst
	}
	chars = chars[:min(whole, len(chars))]
	if at := bytes.IndexFunc(chars, func(r rune) bool { return r < ' ' || r > '`' }); at >= 0 {
		d.fail("%s is not a character of uuencode, at place %d of the line", quoted(chars[at:min(at+4, len(chars))]), at+2)
		return dst
	}
	d.modern = d.modern || bytes.IndexByte(line, '`') >= 0
	if len(chars) < least && d.modern {
		d.fail("the line is cut short: %d characters for %d octets, expected %d", len(chars), n, whole)
		return dst
	}
	var group [4]byte
	for n > 0 {
		for i := range group {
			group[i] = 0 // a blank that was lost
			if i < len(chars) {
				group[i] = value[chars[i]]
			}
		}
		octets := [3]byte{group[0]<<2 | group[1]>>4, group[1]<<4 | group[2]>>2, group[2]<<6 | group[3]}
		dst = append(dst, octets[:min(n, 3)]...)
		n -= 3
		chars = chars[min(4, len(chars)):]
	}
	return dst
}

// quoted is the quoted beginning of a line, for an error.
func quoted(line []byte) string {
	if len(line) > 24 {
		return fmt.Sprintf("%q...", line[:24])
	}
	return fmt.Sprintf("%q", line)
}

// value is the six bits that a character means; 0xff: none.
var value = func() (v [256]byte) {
	for c := range v {
		v[c] = 0xff
		if c >= ' ' && c <= '`' {
			v[c] = byte(c-' ') & 63
		}
	}
	return v
}()
