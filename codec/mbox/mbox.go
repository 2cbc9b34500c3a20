// Package mbox reads and writes mailboxes in the mbox form of Unix: messages one
// after the other, each behind a line "From SENDER DATE" and before an empty
// line. It does no I/O of its own beyond the io.Reader that a [Reader] is given.
//
// # What is written
//
// mboxrd: a body or header line of any number of ">" and then "From " gets one
// more ">", which a reader takes away again, so that every message comes back
// octet for octet. A message that ends in the middle of a line gets a line end.
// Line ends are as the caller has them; other tools on Unix expect LF. The date
// is asctime's, in UTC (RFC 4155).
//
// # What is read
//
// mboxrd with LF or CRLF. Of the older forms: mboxo and mboxcl differ only in that
// lines that had a ">" of their own lose it, which can't be seen from the file.
// mboxcl2 quotes nothing; so a line that begins with "From " is taken for a
// separator only at the beginning of the file or behind an empty line. Its
// Content-Length is not believed: it is wrong in too many files.
package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postrider/codec/quote"
)

var rule = quote.Rule{Word: "From "}

// Writer writes messages in mboxrd form, by appending. The zero Writer is ready.
type Writer struct {
	q    quote.Quoter
	last byte
}

// Begin appends the From_ line of a message. The empty sender is MAILER-DAEMON.
func (w *Writer) Begin(dst []byte, sender string, at time.Time) []byte {
	w.q, w.last = quote.Quoter{Rule: rule}, '\n'
	dst = append(dst, rule.Word...)
	if sender == "" {
		sender = "MAILER-DAEMON"
	}
	for i := range len(sender) {
		c := sender[i]
		if c <= ' ' || c == 0x7f {
			c = '_' // the date begins behind the first space
		}
		dst = append(dst, c)
	}
	dst = append(dst, ' ')
	dst = at.UTC().AppendFormat(dst, time.ANSIC)
	return append(dst, '\n')
}

// Append appends the next octets of the message, cut anywhere.
func (w *Writer) Append(dst, run []byte) []byte {
	if len(run) > 0 {
		w.last = run[len(run)-1]
	}
	return w.q.Append(dst, run)
}

// End appends what ends the message.
func (w *Writer) End(dst []byte) []byte {
	dst = w.q.Flush(dst)
	if w.last != '\n' {
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

// From is what a From_ line says.
type From struct {
	Sender string    // empty for MAILER-DAEMON
	Date   time.Time // zero when it can't be read
	Line   int       // in the file, from 1
}

// Reader reads the messages of an mbox file one after the other, in bounded
// memory: Next begins a message, Read reads it.
type Reader struct {
	in   *bufio.Reader
	u    quote.Unquoter
	line int
	out  []byte // of this message, not read yet
	tail []byte // the last octets of the message, up to 3, also in out
	any  bool   // the file has begun
	more bool   // a From_ line was found and waits for Next
	done bool   // this message is whole in out
	buf  []byte // scratch of fill
}

// NewReader reads the file from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 64<<10), line: 1, done: true}
}

// maxFrom is the most octets of a From_ line.
const maxFrom = 4096

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
	f := From{Line: r.line}
	text, err := r.in.ReadSlice('\n')
	if err != nil && err != io.EOF || len(text) > maxFrom {
		return From{}, fmt.Errorf("line %d: the From line is too long", r.line)
	}
	r.line++
	f.Sender, f.Date = parseFrom(string(text))
	r.u, r.tail = quote.Unquoter{Rule: rule}, append(r.tail[:0], '\n', '\n')
	r.more, r.done, r.out = false, false, r.out[:0]
	return f, nil
}

// begin passes over empty lines at the beginning and wants a From_ line.
func (r *Reader) begin() error {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			r.line++
		}
		if c == '\r' || c == '\n' {
			continue
		}
		rest, err := r.in.Peek(len(rule.Word) - 1)
		if err != nil && err != io.EOF {
			return err
		}
		if c != rule.Word[0] || string(rest) != rule.Word[1:] {
			return fmt.Errorf("line %d: this is no mbox file: a line that begins with \"From \" is wanted", r.line)
		}
		_, _ = r.in.Discard(len(rest))
		r.any, r.more = true, true
		return nil
	}
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
	out, used, found := r.u.Append(r.buf[:0], src)
	r.buf = out
	r.line += bytes.Count(src[:used], []byte{'\n'})
	_, _ = r.in.Discard(used)
	r.take(out)
	switch {
	case found && endsEmpty(r.tail):
		r.more = true
		r.end()
	case found:
		r.take([]byte(rule.Word))
	}
	return nil
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

// endsEmpty says whether the last line is an empty one.
func endsEmpty(tail []byte) bool {
	return bytes.HasSuffix(tail, []byte("\n\n")) || bytes.HasSuffix(tail, []byte("\n\r\n"))
}

// parseFrom reads "SENDER DATE" with or without a zone in the date.
func parseFrom(s string) (sender string, date time.Time) {
	sender, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	if sender == "MAILER-DAEMON" {
		sender = ""
	}
	rest = strings.Join(strings.Fields(rest), " ")
	for _, layout := range []string{"Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 -0700 2006",
		"Mon Jan 2 15:04:05 MST 2006", "Mon Jan 2 15:04:05 2006 -0700", "Mon Jan 2 15:04 2006"} {
		if at, err := time.Parse(layout, rest); err == nil {
			return sender, at
		}
	}
	return sender, time.Time{}
}
