package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"postrider/codec/quote"
)

// ErrNoMbox is the error of a file that does not begin as an mbox file does.
var ErrNoMbox = errors.New("not an mbox file")

// Reader reads the messages of an mbox file one after the other, in bounded
// memory: Next begins a message, Read reads it.
type Reader struct {
	// Doubt, if it is set, is called for each line that could be read otherwise.
	Doubt func(line int, what string)

	in   *bufio.Reader
	file io.ReaderAt // what in reads, to look ahead in; may be nil
	look []byte      // scratch of ahead
	at   int64       // octets of the file that were taken

	u    quote.Unquoter
	line int
	out  []byte // octets of this message, not read yet
	tail []byte // the last octets of the message, up to 3, also in out
	any  bool   // the file has begun
	more bool   // a From_ line was found and waits for Next
	done bool   // this message is whole in out
	buf  []byte // scratch of fill

	header   bool // this message's header is not over
	length   lengthField
	bodyEnd  int64 // up to here no line begins a message; 0: that is not known
	distrust bool  // the message's Content-Length is its own matter
}

// NewReader reads the file from r. If r is an [io.ReaderAt] too, it has to be at
// its beginning; then a Content-Length of any size can be compared with the file,
// else one that is within the next 64 KiB.
func NewReader(r io.Reader) *Reader {
	file, _ := r.(io.ReaderAt)
	return &Reader{in: bufio.NewReaderSize(r, 64<<10), file: file, line: 1, done: true}
}

const (
	maxFrom = 1024 // octets of a From_ line after its word
	maxName = 128  // octets of the name of the field after it
)

// Next passes over what is left of this message and begins the next one; io.EOF
// after the last one. Other errors name the line.
func (r *Reader) Next() (From, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return From{}, err
	}
	if !r.any {
		if err := r.begin(); err != nil {
			return From{}, err
		}
	}
	if !r.more {
		return From{}, io.EOF
	}
	text, err := r.in.ReadSlice('\n')
	if err != nil && err != io.EOF {
		return From{}, err
	}
	f, zoned := parseFrom(string(text))
	f.Line = r.line
	r.line++
	r.at += int64(len(text))
	r.u, r.tail = quote.Unquoter{Rule: rule}, append(r.tail[:0], '\n')
	r.more, r.done, r.out = false, false, r.out[:0]
	r.header, r.bodyEnd, r.distrust = true, 0, zoned
	r.length.reset()
	return f, nil
}

// begin passes over empty lines at the beginning and wants a From_ line.
func (r *Reader) begin() error {
	if mark, _ := r.in.Peek(3); string(mark) == "\ufeff" {
		r.discard(3)
	}
	for {
		c, err := r.in.Peek(1)
		if err != nil {
			return err
		}
		if c[0] != '\r' && c[0] != '\n' {
			break
		}
		if c[0] == '\n' {
			r.line++
		}
		r.discard(1)
	}
	word, err := r.in.Peek(len(rule.Word))
	if err != nil && err != io.EOF {
		return err
	}
	if string(word) != rule.Word {
		return fmt.Errorf("line %d: %w: expected a line \"From SENDER DATE\"", r.line, ErrNoMbox)
	}
	r.discard(len(word))
	r.tail = append(r.tail[:0], '\n', '\n')
	if !r.separates() {
		return fmt.Errorf("line %d: %w: its line \"From ...\" has no date that can be read, and the next line is not a header field", r.line, ErrNoMbox)
	}
	r.any, r.more = true, true
	return nil
}

func (r *Reader) discard(n int) {
	_, _ = r.in.Discard(n)
	r.at += int64(n)
}

// Read reads from the message that Next began; io.EOF at its end. The empty line
// that ends it in the file is not part of it.
func (r *Reader) Read(p []byte) (int, error) {
	for !r.done && len(r.out) <= len(r.tail) {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	ready := len(r.out)
	if !r.done {
		ready -= len(r.tail) // perhaps the empty line at the end
	}
	if ready == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.out[:ready])
	r.out = r.out[:copy(r.out, r.out[n:])]
	return n, nil
}

// fill takes the next octets of the file into out.
func (r *Reader) fill() error {
	if _, err := r.in.Peek(1); err != nil {
		if !errors.Is(err, io.EOF) {
			return err
		}
		r.take(r.u.Flush(nil))
		r.end()
		return nil
	}
	// A small piece keeps out, which Read moves down, small.
	src, _ := r.in.Peek(min(r.in.Buffered(), 4096))
	if end := bytes.IndexByte(src, '\n'); r.header && end >= 0 {
		src = src[:end+1]
	}
	out, used, found := r.u.Append(r.buf[:0], src)
	r.buf = out
	r.line += bytes.Count(src[:used], []byte{'\n'})
	ended := r.header && r.length.take(src[:used])
	r.discard(used)
	r.take(out)
	switch {
	case ended:
		r.header = false
		r.believe()
	case found && r.separates():
		r.more = true
		r.end()
	case found:
		r.take([]byte(rule.Word))
	}
	return nil
}

// separates reports whether the line whose "From " was just taken begins a message.
func (r *Reader) separates() bool {
	text := r.ahead(0, maxFrom+1+maxName)
	rest, next, whole := bytes.Cut(text, []byte("\n"))
	if len(rest) > maxFrom || !whole && len(text) > maxFrom || isColon(rest) {
		return false
	}
	from, _ := parseFrom(string(rest))
	dated, empty, field := !from.Date.IsZero(), endsEmpty(r.tail), isField(next)
	switch {
	case r.at-int64(len(rule.Word)) < r.bodyEnd:
		if dated || empty && field {
			r.doubt("begins with From and is taken for text, because the Content-Length of its message says so")
		}
		return false
	case dated:
		if !empty && !field && !bytes.HasPrefix(bytes.TrimLeft(next, ">"), []byte(rule.Word)) {
			r.doubt("begins a message, although no empty line is before it and no header field after it")
		}
		return true
	case empty && field:
		r.doubt("has no date that can be read and begins a message, because a header field follows it")
		return true
	case empty || field:
		r.doubt("begins with From and is taken for text")
	}
	return false
}

func (r *Reader) doubt(what string) {
	if r.Doubt != nil && r.any {
		r.Doubt(r.line, what)
	}
}

// isField reports whether a line begins with the name of a header field.
func isField(line []byte) bool {
	for i, c := range line {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return i > 0 && isColon(line[i:])
		}
	}
	return false
}

// isColon reports whether a colon is next, after blanks or not (RFC 5322 section 4.5).
func isColon(text []byte) bool {
	text = bytes.TrimLeft(text, " \t")
	return len(text) > 0 && text[0] == ':'
}

// take adds octets to the message and remembers the last ones.
func (r *Reader) take(octets []byte) {
	r.out = append(r.out, octets...)
	r.tail = append(r.tail, octets[max(0, len(octets)-3):]...)
	r.tail = r.tail[max(0, len(r.tail)-3):]
}

// end cuts the empty line off.
func (r *Reader) end() {
	r.done = true
	if endsEmpty(r.tail) {
		r.out = bytes.TrimSuffix(r.out, []byte("\n"))
		r.out = bytes.TrimSuffix(r.out, []byte("\r"))
	}
}

// endsEmpty reports whether the last line is an empty one.
func endsEmpty(tail []byte) bool {
	return bytes.HasSuffix(tail, []byte("\n\n")) || bytes.HasSuffix(tail, []byte("\n\r\n"))
}
