package vetting

import (
	"bytes"
	"strings"
)

// Sift takes the Authentication-Results fields of one name out of a header that
// streams by, cut anywhere. The zero Sift with a Host is ready for a message.
type Sift struct {
	Host    string // the name, our authserv-id
	Removed int64  // octets taken out

	place sifting
	held  []byte // of a field that may be one of those
	long  bool   // the field was too long to be held; it goes
}

// sifting is where in the header a Sift stands.
type sifting uint8

const (
	atLine   sifting = iota // at the start of a line
	inName                  // in a name that may be the one
	inField                 // in a field with that name
	passing                 // in another line
	pastHead                // the header is over
)

const resultsField = "authentication-results"

// maxField bounds a field that is held.
const maxField = 16 << 10

// Done says that the header is over: what follows need not pass through.
func (s *Sift) Done() bool { return s.place == pastHead }

// Append appends to dst what stays of run.
func (s *Sift) Append(dst, run []byte) []byte {
	for i, c := range run {
		switch s.place {
		case atLine:
			dst = s.startLine(dst, c)
		case inName:
			dst = s.name(dst, c)
		case inField:
			s.hold(c)
			if c == '\n' {
				s.place = atLine
			}
		case passing:
			dst = append(dst, c)
			if c == '\n' {
				s.place = atLine
			}
		case pastHead:
			return append(dst, run[i:]...)
		}
	}
	return dst
}

// startLine decides what a line is by its first octet.
func (s *Sift) startLine(dst []byte, c byte) []byte {
	if len(s.held) > 0 && (c == ' ' || c == '\t') {
		s.hold(c)
		s.place = inField
		return dst
	}
	dst = s.decide(dst)
	switch {
	case c == '\r' || c == '\n':
		s.place = pastHead
	case lower(c) == resultsField[0]:
		s.held, s.place = append(s.held, c), inName
		return dst
	default:
		s.place = passing
	}
	return append(dst, c)
}

// name goes on with a name that was right so far.
func (s *Sift) name(dst []byte, c byte) []byte {
	n := len(bytes.TrimRight(s.held, " \t"))
	switch {
	case n < len(s.held) && n < len(resultsField): // a blank in the name
	case n < len(resultsField) && lower(c) == resultsField[n], n == len(resultsField) && (c == ' ' || c == '\t'):
		s.hold(c)
		if len(s.held) <= maxField {
			return dst
		}
	case n == len(resultsField) && c == ':':
		s.hold(c)
		s.place = inField
		return dst
	}
	dst = append(append(dst, s.held...), c)
	s.held, s.place = s.held[:0], passing
	if c == '\n' {
		s.place = atLine
	}
	return dst
}

func (s *Sift) hold(c byte) {
	if len(s.held) < maxField {
		s.held = append(s.held, c)
		return
	}
	s.long = true
	s.Removed++
}

// decide lets the field that is held go on, or drops it.
func (s *Sift) decide(dst []byte) []byte {
	if len(s.held) == 0 {
		return dst
	}
	if s.long || s.isOurs() {
		s.Removed += int64(len(s.held))
	} else {
		dst = append(dst, s.held...)
	}
	s.held, s.long = s.held[:0], false
	return dst
}

// End appends what is still held to dst: the message has ended.
func (s *Sift) End(dst []byte) []byte {
	if s.place == inName {
		dst = append(dst, s.held...)
		s.held = nil
	}
	dst = s.decide(dst)
	s.held, s.place = nil, pastHead
	return dst
}

// isOurs says whether the field that is held bears our name (RFC 8601 section 2.2:
// the first word behind comments).
func (s *Sift) isOurs() bool {
	_, value, _ := strings.Cut(string(s.held), ":")
	value = skipComments(value)
	end := strings.IndexAny(value, " \t\r\n;(")
	if strings.HasPrefix(value, `"`) {
		end = strings.IndexByte(value[1:], '"') + 1
		value = strings.TrimPrefix(value, `"`)
		end--
	}
	if end < 0 {
		end = len(value)
	}
	return strings.EqualFold(strings.TrimSuffix(value[:end], "."), s.Host)
}

// skipComments skips white space and comments, which may nest.
func skipComments(v string) string {
	depth := 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '(':
			depth++
		case depth > 0 && c == '\\':
			i++
		case depth > 0 && c == ')':
			depth--
		case depth == 0 && !strings.ContainsRune(" \t\r\n", rune(c)):
			return v[i:]
		}
	}
	return ""
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
