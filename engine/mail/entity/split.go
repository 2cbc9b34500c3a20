package entity

import (
	"bufio"
	"bytes"
	"io"

	"postrider/codec/message"
)

// window is how much of a message is looked at at a time; a boundary's line and what is
// understood of a header's are shorter.
const window = 64 << 10

// splitter tells the entities of a message apart. What is being read ends at a delimiter
// of any multipart that is open: one without an end of its own ends with what
// contains it.
type splitter struct {
	in    *bufio.Reader
	open  []multipart // outermost first
	begin bool        // a line begins, and the line end before it is not the body's
	give  int         // octets of in that are the body's
	ended bool        // the body was, by a delimiter
	level int         // in open, of that delimiter
	final bool        // it was the last of its multipart
}

type multipart struct {
	delimiter []byte // "--" and the boundary
	path      string // path of its parts: "" or "2."
	count     int    // number of its parts so far
	choice    bool   // multipart/alternative, or within one
	digest    bool   // its parts are messages (RFC 2046 section 5.1.5)
}

// Read gives the octets of the body. It ends with io.EOF at a delimiter, or at the end
// of the message if no multipart is open, else with io.ErrUnexpectedEOF.
func (s *splitter) Read(p []byte) (int, error) {
	for s.give == 0 {
		if s.ended {
			return 0, io.EOF
		}
		if err := s.look(); err != nil {
			if err == io.EOF && len(s.open) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := min(len(p), s.give)
	piece, _ := s.in.Peek(n) // it was there
	copy(p, piece)
	_, _ = s.in.Discard(n)
	s.give -= n
	return n, nil
}

// look finds how much of what comes is the body's, or its end.
func (s *splitter) look() error {
	text, err := s.in.Peek(max(s.in.Buffered(), 1))
	if len(text) == 0 {
		return err
	}
	if len(s.open) == 0 {
		s.give = len(text)
		return nil
	}
	if s.begin {
		s.begin = false
		s.ended = s.delimited(0)
		return nil
	}
	i := bytes.Index(text, []byte("\n--"))
	if i < 0 {
		return s.lookOn(text)
	}
	end := i
	if i > 0 && text[i-1] == '\r' {
		end--
	}
	if end == 0 {
		if s.ended = s.delimited(i + 1); s.ended {
			return nil
		}
		end = i + 3
	}
	s.give = end
	return nil
}

// lookOn gives text but for what a delimiter may begin with at its end.
func (s *splitter) lookOn(text []byte) error {
	keep := 0
	for _, tail := range []string{"\r", "\n", "\r\n", "\n-", "\r\n-"} {
		if bytes.HasSuffix(text, []byte(tail)) {
			keep = len(tail)
		}
	}
	s.give = len(text) - keep
	if s.give > 0 {
		return nil
	}
	more, err := s.in.Peek(keep + 1)
	if len(more) > keep {
		return nil
	}
	if err == io.EOF {
		s.give, err = keep, nil
	}
	return err
}

// delimited reports whether at an offset of what comes a line begins that is a delimiter of
// a multipart that is open, and takes it then.
func (s *splitter) delimited(offset int) bool {
	line := s.ahead(offset)
	level, final := s.delimiter(line)
	if level < 0 {
		return false
	}
	s.level, s.final = level, final
	_, _ = s.in.Discard(offset + len(line))
	return true
}

// ahead is the line at an offset of what comes, with its end; less of it if it is
// longer than the window.
func (s *splitter) ahead(offset int) []byte {
	seen := offset
	for n := s.in.Buffered(); ; n++ {
		text, err := s.in.Peek(n)
		if len(text) > seen {
			if i := bytes.IndexByte(text[seen:], '\n'); i >= 0 {
				return text[offset : seen+i+1]
			}
			seen = len(text)
		}
		if err != nil {
			return text[min(offset, len(text)):]
		}
		n = max(n, s.in.Buffered())
	}
}

// delimiter is the index in open of the multipart that line is a delimiter of; -1: none.
func (s *splitter) delimiter(line []byte) (level int, final bool) {
	if !bytes.HasPrefix(line, []byte("--")) {
		return -1, false
	}
	line = bytes.TrimRight(line, " \t\r\n")
	for level = len(s.open) - 1; level >= 0; level-- {
		rest, ok := bytes.CutPrefix(line, s.open[level].delimiter)
		if !ok {
			continue
		}
		if len(rest) == 0 {
			return level, false
		}
		if rest, ok = bytes.CutPrefix(rest, []byte("--")); ok && (len(rest) == 0 || !isBoundary(rest[0])) {
			return level, true
		}
	}
	return -1, false
}

// isBoundary reports whether a boundary may have this octet (RFC 2046 section 5.1.1).
func isBoundary(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || bytes.IndexByte([]byte("'()+_,-./:=? "), c) >= 0
}

// header reads the header of an entity, and keeps at most limit octets of it; whole
// reports whether that was all of it. It ends at an empty line, which is taken, or at a
// line that can't be a header's, which is not.
func (s *splitter) header(limit int) (text []byte, whole bool, err error) {
	whole = true
	for {
		line := s.ahead(0)
		if len(line) == 0 {
			_, err = s.in.Peek(1)
			if err == io.EOF {
				err = nil
			}
			return text, whole, err
		}
		if level, _ := s.delimiter(line); level >= 0 {
			return text, whole, nil
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			_, _ = s.in.Discard(len(line))
			return text, whole, nil
		}
		continues := len(text) > 0 && (line[0] == ' ' || line[0] == '\t')
		if _, _, ok := message.Next(line); !ok && !continues {
			if len(text) == 0 || !s.goesOn(len(line)) {
				return text, whole, nil
			}
			text = append(bytes.TrimRight(text, "\r\n"), ' ') // a program has wrapped a field without a blank
		}
		if len(text)+len(line) <= limit {
			text = append(text, line...)
		} else {
			whole = false
		}
		s.skipLine(len(line), line[len(line)-1] == '\n')
	}
}

// goesOn reports whether a field of a part's header follows a line of n octets.
func (s *splitter) goesOn(n int) bool {
	name := []byte("Content-")
	text, _ := s.in.Peek(n + len(name))
	return len(text) == n+len(name) && bytes.EqualFold(text[n:], name)
}

// mark passes over the line that an mbox file has before a message.
func (s *splitter) mark() {
	for _, from := range []string{"From ", ">From "} {
		if text, _ := s.in.Peek(len(from)); string(text) == from {
			line := s.ahead(0)
			s.skipLine(len(line), line[len(line)-1] == '\n')
		}
	}
}

// skipLine takes a line of which n octets are in the window.
func (s *splitter) skipLine(n int, whole bool) {
	_, _ = s.in.Discard(n)
	for !whole {
		piece, err := s.in.ReadSlice('\n')
		whole = err != bufio.ErrBufferFull || len(piece) == 0
	}
}
