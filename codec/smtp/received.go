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
	Code  int    // the code in the last line, 200 to 599
	lines []byte // as they came
}

// Errors of ParseReply: the peer does not speak SMTP, and no more can be
// understood of what it sends.
var (
	ErrReplySyntax = errors.New("smtp: the peer sent no reply: want three digits and a blank or \"-\" at the start of the first line")
	ErrReplyLength = errors.New("smtp: the peer sent a reply over the limit")
)

// ParseReply reads the reply at the start of src and returns its length n.
// n is 0 when its end is not there yet: show the same octets again with
// more after them. A reply over limit octets is an error. Lines may end with LF
// alone.
//
// A reply ends with the first line that has a code and no "-" after it. The RFC
// wants a code on every line, and the same one. Servers with texts from
// scanners, scripts and configuration files break that, so other lines before the
// last are text, and the last line's code counts, as with Postfix. Only a first line
// with text and no code is an error: the peer may speak another
// protocol. A line that is empty or begins with a blank is text there as well.
func ParseReply(src []byte, limit int) (r ReceivedReply, n int, err error) {
	return new(ReplyScan).Next(src, limit)
}

// ReplyScan is ParseReply for a reply that comes in pieces: what was looked at is not
// looked at again. The zero value is ready, and is so again after each reply. Until then
// it has to be shown the same octets, with more after them.
type ReplyScan struct {
	lines  int  // octets of the lines that were read
	begun  bool // one of them has a code
	filler int  // octets of the lines that IsFiller has read
	seen   int  // up to here no other line ends
}

// Next is ParseReply.
func (s *ReplyScan) Next(src []byte, limit int) (r ReceivedReply, n int, err error) {
	for s.lines < len(src) {
		from := max(s.lines, s.seen)
		end := bytes.IndexByte(src[from:], '\n')
		if end < 0 {
			s.seen = len(src)
			break
		}
		end += from
		// The length first: a caller that gets the line in pieces is over it before the end.
		if end+1 > limit {
			return ReceivedReply{}, 0, ErrReplyLength
		}
		line := src[s.lines:end]
		code, last, ok := replyHead(line)
		if !ok && !s.begun && !isBlankStart(line) {
			return ReceivedReply{}, 0, ErrReplySyntax
		}
		s.begun = s.begun || ok
		s.lines = end + 1
		if last {
			n = s.lines
			*s = ReplyScan{}
			return ReceivedReply{Code: code, lines: src[:n]}, n, nil
		}
	}
	if len(src) >= limit {
		return ReceivedReply{}, 0, ErrReplyLength
	}
	return ReceivedReply{}, 0, nil
}

// IsFiller reports whether src, where a reply begins, has nothing so far but lines that
// are empty or begin with a blank: Next takes them for text of the reply.
func (s *ReplyScan) IsFiller(src []byte) bool {
	for s.filler < len(src) {
		from := max(s.filler, s.seen)
		end := bytes.IndexByte(src[from:], '\n')
		if end < 0 {
			s.seen = len(src)
			rest := src[s.filler:]
			return rest[0] == ' ' || rest[0] == '\t' || len(rest) == 1 && rest[0] == '\r'
		}
		if !isBlankStart(src[s.filler : from+end]) {
			return false
		}
		s.filler = from + end + 1
	}
	return true
}

// IsFiller is ReplyScan.IsFiller for octets that are shown once.
func IsFiller(src []byte) bool { return new(ReplyScan).IsFiller(src) }

// isBlankStart reports whether a line is empty or begins with a blank.
func isBlankStart(line []byte) bool {
	line = bytes.TrimSuffix(line, []byte("\r"))
	return len(line) == 0 || line[0] == ' ' || line[0] == '\t'
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
	last = line[3] == ' '
	return code, last, last || line[3] == '-'
}

// Lines are the texts of the reply's lines, without code and line end. Lines that
// have no code are left out.
func (r ReceivedReply) Lines() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(r.lines) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if _, _, ok := replyHead(line); !ok {
				continue
			}
			if !yield(line[min(4, len(line)):]) {
				return
			}
		}
	}
}

// AppendText appends the reply as one line for people: its lines with their codes,
// and a blank between two. It begins with a code: text that came before the first
// one is at the end. It is clean: see AppendClean.
func (r ReceivedReply) AppendText(dst []byte) []byte {
	first := 0 // the code of the first line that has one
	for line := range bytes.Lines(r.lines) {
		if !isBlankStart(line[:len(line)-1]) {
			break
		}
		first += len(line)
	}
	start := len(dst)
	for _, part := range [2][]byte{r.lines[first:], r.lines[:first]} {
		for line := range bytes.Lines(part) {
			if line = bytes.Trim(line, " \t\r\n"); len(line) == 0 {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ' ')
			}
			dst = AppendClean(dst, line)
		}
	}
	return dst
}

// AppendClean appends what a peer sent, for people: control characters, characters that
// turn the direction of writing or can't be seen, and what is not UTF-8 become "?".
func AppendClean(dst, text []byte) []byte {
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == utf8.RuneError && n == 1 {
			dst = append(dst, '?')
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// Enhanced is the enhanced status code of the last line that begins with one (RFC
// 2034 section 4), or nil: "5.1.1". Its class is that of the reply's code.
func (r ReceivedReply) Enhanced() []byte {
	var found []byte
	for line := range r.Lines() {
		if code := enhancedOf(line, r.Code/100); code != nil {
			found = code
		}
	}
	return found
}

// enhancedOf is the enhanced status code that a text begins with, if its class is
// the one given; else nil.
func enhancedOf(text []byte, class int) []byte {
	code, _, _ := bytes.Cut(text, []byte(" "))
	part := 0 // 0: class, 1: subject, 2: detail
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
	if part != 2 || digits == 0 || code[1] != '.' || int(code[0]-'0') != class {
		return nil
	}
	return code
}
