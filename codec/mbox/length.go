package mbox

import (
	"bytes"
	"strconv"
)

// lengthField looks for Content-Length in a header that comes in pieces. It is
// ready when reset.
type lengthField struct {
	line  []byte // the beginning of the line that is open
	n     int64
	count int // how many of these fields there are
}

// maxLengthLine is what is kept of a line; longer ones are ignored.
const maxLengthLine = 64

func (l *lengthField) reset() { *l = lengthField{line: l.line[:0]} }

// take reads a piece of a header, which is of one line only. ended: it
// was the empty line.
func (l *lengthField) take(piece []byte) (ended bool) {
	l.line = append(l.line, piece[:min(len(piece), maxLengthLine-len(l.line))]...)
	if len(piece) == 0 || piece[len(piece)-1] != '\n' {
		return false
	}
	line, long := bytes.TrimRight(l.line, "\r\n"), len(l.line) == maxLengthLine
	l.line = l.line[:0]
	if long {
		return false
	}
	if len(line) == 0 {
		return true
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !bytes.EqualFold(bytes.TrimRight(name, " \t"), []byte("Content-Length")) {
		return false
	}
	l.count++
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 62)
	if err != nil {
		l.count = 2 // as good as two that differ
	}
	l.n = int64(n)
	return false
}

// HasLength reports whether a header, with which text begins, has a Content-Length that
// a [Reader] could see, also after lines that are no fields. It is true as well if
// the header does not end in text. Lines may end with CRLF.
func HasLength(text []byte) bool {
	var l lengthField
	for line := range bytes.Lines(text) {
		if l.take(line) {
			return l.count > 0
		}
	}
	return true
}

// believe is called where the body begins. It finds out whether the header's
// Content-Length agrees with the file, and sets bodyEnd if so.
func (r *Reader) believe() {
	if r.length.count != 1 || r.length.n == 0 || r.distrust {
		return
	}
	text := r.ahead(r.length.n-1, 1+4+len(rule.Word)+maxFrom)
	if len(text) == 0 {
		return // longer than the file, or than what can be looked at
	}
	rest := text[1:]
	ends := text[0] == '\n'
	for range 2 { // the line end of the last line may be counted or not; then the empty line
		next := bytes.TrimPrefix(rest, []byte("\r"))
		if next, ok := bytes.CutPrefix(next, []byte("\n")); ok {
			rest, ends = next, true
		}
	}
	if !ends {
		return
	}
	if line, is := bytes.CutPrefix(rest, []byte(rule.Word)); is {
		line, _, _ = bytes.Cut(line, []byte("\n"))
		from, _ := parseFrom(string(line[:min(len(line), maxFrom)]))
		is = !from.Date.IsZero()
		if !is {
			return
		}
	} else if len(rest) > 0 {
		return
	}
	r.bodyEnd = r.at + r.length.n
}

// ahead is up to n octets of the file from an offset on, counted from what is read
// next. Fewer than n: the file ends, or its reader can't look as far.
func (r *Reader) ahead(offset int64, n int) []byte {
	if offset+int64(n) <= int64(r.in.Size()) {
		text, _ := r.in.Peek(int(offset) + n)
		return text[min(int64(len(text)), offset):]
	}
	if r.file == nil {
		return nil
	}
	if cap(r.look) < n {
		r.look = make([]byte, n)
	}
	got, _ := r.file.ReadAt(r.look[:n], r.at+offset)
	return r.look[:got]
}
