package mbrain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postrider/codec/quote"
)

// Reader reads the entries of a file one after the other, in bounded memory: Next
// begins an entry, Read reads its text.
type Reader struct {
	in   *bufio.Reader
	line int // that is being read, from 1
	u    quote.Unquoter
	out  []byte // text that was unquoted and not read yet
	left []byte // the part of out that is left
	done bool   // the entry's text is whole in left
	any  bool   // the file has begun
	more bool   // a separator was found and waits for Next

	raw  bool
	want int64 // octets of the raw text that are to come
	end  bool  // the LF after a raw text was seen
}

// NewReader reads the file from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 64<<10), line: 1, done: true}
}

// Next passes over what is left of this entry and begins the next one; io.EOF
// after the last one.
func (r *Reader) Next() (Entry, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return Entry{}, err
	}
	if !r.any {
		if err := r.begin(); err != nil {
			return Entry{}, err
		}
	}
	if !r.more {
		return Entry{}, io.EOF
	}
	e := Entry{Line: r.line}
	var err error
	if e.From, err = r.value(); err != nil {
		return Entry{}, err
	}
	if err := r.header(&e); err != nil {
		return Entry{}, err
	}
	r.u, r.left = quote.Unquoter{Rule: rule}, nil
	r.raw, r.want, r.end = e.Raw, e.Octets, false
	r.more, r.done = false, false
	return e, nil
}

// begin passes over empty lines and wants a separator.
func (r *Reader) begin() error {
	for {
		c, err := r.in.ReadByte()
		switch {
		case err != nil:
			return err
		case c == '\n':
			r.line++
			continue
		case c == '\r':
			continue
		}
		rest, err := r.in.Peek(len(rule.Word) - 1)
		if err != nil && err != io.EOF {
			return err
		}
		if !strings.EqualFold(string(c)+string(rest), rule.Word) {
			return &FormatError{r.line, "a message has to begin with a line \"From: \""}
		}
		_, _ = r.in.Discard(len(rest))
		r.any, r.more = true, true
		return nil
	}
}

// header reads the lines after the From line.
func (r *Reader) header(e *Entry) error {
	var seen [len(headerNames)]bool
	for {
		text, err := r.in.Peek(longestName)
		if err != nil && err != io.EOF {
			return err
		}
		which, ok := headerName(text)
		if !ok || seen[which] || headerNames[which] == "uidl:" && e.Arrived.IsZero() {
			return r.emptyLine(text) // older files have no UIDL: there it may be text
		}
		seen[which] = true
		_, _ = r.in.Discard(len(headerNames[which]))
		at := r.line
		value, err := r.value()
		if err != nil {
			return err
		}
		if err := e.set(which, value); err != nil {
			return &FormatError{at, err.Error()}
		}
	}
}

// emptyLine passes over the empty line that text may begin with.
func (r *Reader) emptyLine(text []byte) error {
	n := 0
	switch {
	case bytes.HasPrefix(text, []byte("\n")):
		n = 1
	case bytes.HasPrefix(text, []byte("\r\n")):
		n = 2
	default:
		return nil
	}
	r.line++
	_, err := r.in.Discard(n)
	return err
}

func (e *Entry) set(which int, value string) (err error) {
	switch headerNames[which] {
	case "to:":
		e.To = value
	case "date:":
		e.Date = value
	case "subject:":
		e.Subject = value
	case "arrived:":
		if e.Arrived, err = time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("malformed \"Arrived:\" %q: expected a time such as 2026-11-22T23:00:00Z", value)
		}
	case "uidl:":
		e.UIDL = value
	case "octets:":
		e.Raw = true
		if e.Octets, err = strconv.ParseInt(value, 10, 64); err != nil || e.Octets < 0 {
			return fmt.Errorf("malformed \"Octets:\" %q: expected a number of octets", value)
		}
	}
	return nil
}

// value reads the rest of a header line.
func (r *Reader) value() (string, error) {
	text, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(text) > 2*maxValue:
		return "", &FormatError{r.line, "the header line is too long"}
	case err != nil && err != io.EOF:
		return "", err
	}
	r.line++
	return string(bytes.Trim(text, " \r\n")), nil
}

// Read reads from the text of the entry that Next began; io.EOF at its end.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.done {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// fill takes the next octets of the file; left is empty.
func (r *Reader) fill() error {
	if _, err := r.in.Peek(1); err != nil {
		if err != io.EOF {
			return err
		}
		r.out, r.done = r.u.Flush(r.out[:0]), true
		return r.hand()
	}
	src, _ := r.in.Peek(r.in.Buffered())
	out, used, found := r.u.Append(r.out[:0], src)
	r.out, r.done, r.more = out, found, found
	r.line += bytes.Count(src[:used], []byte{'\n'})
	_, _ = r.in.Discard(used)
	return r.hand()
}

// hand puts into left what of out is text, and holds a raw text to its length.
func (r *Reader) hand() error {
	r.left = r.out
	if !r.raw {
		return nil
	}
	n := min(int64(len(r.out)), r.want)
	r.left = r.out[:n]
	r.want -= n
	behind := r.out[n:]
	if len(behind) > 0 && !r.end && behind[0] == '\n' {
		r.end, behind = true, behind[1:]
	}
	switch {
	case len(behind) > 0:
		r.done = true
		return &FormatError{r.line, "the text is longer than its \"Octets:\"; was the file edited or its line ends changed?"}
	case r.done && r.want > 0:
		return &FormatError{r.line, fmt.Sprintf("the text is %d octets shorter than its \"Octets:\"; was the file cut, edited or its line ends changed?", r.want)}
	}
	return nil
}
