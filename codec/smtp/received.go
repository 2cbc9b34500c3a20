package smtp

import (
	"bytes"
	"errors"
	"iter"
	"unicode"
	"unicode/utf8"
)

// ReceivedReply is a reply that a server sent: one line or several (RFC 5321
// section 4.2.1). It borrows from the input of ParseReply.
type ReceivedReply struct {
	Code  int    // 200 to 599
	lines []byte // as they came
}

// Errors of ParseReply: the peer does not speak SMTP, and no more can be
// understood of what it sends.
var (
	ErrReplySyntax = errors.New("smtp: the peer sent no reply: want three digits and a blank or \"-\" on each line, the same digits on all")
	ErrReplyLength = errors.New("smtp: the peer sent a reply over the limit")
)

// ParseReply reads the reply at the start of src and says how many octets it
// takes. n is 0 when its end is not there yet: show the same octets again with
// more behind them. A reply over limit octets is an error. Lines may end with LF
// alone.
func ParseReply(src []byte, limit int) (r ReceivedReply, n int, err error) {
	for n < len(src) {
		end := bytes.IndexByte(src[n:], '\n')
		if end < 0 {
			break
		}
		// The length first: whoever gets the line in pieces is over it before the end.
		if n+end+1 > limit {
			return ReceivedReply{}, 0, ErrReplyLength
		}
		code, last, ok := replyHead(src[n : n+end])
		if !ok || n > 0 && code != r.Code {
			return ReceivedReply{}, 0, ErrReplySyntax
		}
		r.Code = code
		n += end + 1
		if last {
			r.lines = src[:n]
			return r, n, nil
		}
	}
	if len(src) >= limit {
		return ReceivedReply{}, 0, ErrReplyLength
	}
	return ReceivedReply{}, 0, nil
}

// replyHead reads the code of a reply line, and whether the line is the last.
// The text and the blank before it may be missing.
func replyHead(line []byte) (code int, last, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, true, true
	}
	return code, line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

// Lines are the texts of the reply's lines, without code and line end.
func (r ReceivedReply) Lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(r.lines) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if !yield(line[min(4, len(line)):]) {
				return
			}
		}
	}
}

// AppendText appends the reply as one line for people: its lines with their codes,
// and a blank between two. Control octets and what is not UTF-8 become "?".
func (r ReceivedReply) AppendText(dst []byte) []byte {
	start := len(dst)
	for line := range bytes.Lines(r.lines) {
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		for line = bytes.TrimRight(line, " \r\n"); len(line) > 0; {
			c, n := utf8.DecodeRune(line)
			if unicode.IsControl(c) || c == utf8.RuneError && n == 1 {
				dst = append(dst, '?')
			} else {
				dst = append(dst, line[:n]...)
			}
			line = line[n:]
		}
	}
	return dst
}

// Enhanced is the enhanced status code that the last line begins with (RFC 2034
// section 4), or nil: "5.1.1". Its class is that of the reply's code.
func (r ReceivedReply) Enhanced() []byte {
	var text []byte
	for line := range r.Lines() {
		text = line
	}
	code, _, _ := bytes.Cut(text, []byte(" "))
	part := 0 // of class.subject.detail
	digits := 0
	for _, c := range code {
		switch {
		case isDigit(c) && digits < 3:
			digits++
		case c == '.' && digits > 0 && part < 2:
			part, digits = part+1, 0
		default:
			return nil
		}
	}
	if part != 2 || digits == 0 || code[1] != '.' || int(code[0]-'0') != r.Code/100 {
		return nil
	}
	return code
}
