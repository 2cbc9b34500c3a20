package screen

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sift takes the Authentication-Results fields of one name out of a header that
// streams by, cut anywhere. The zero Sift with a Host is ready for a message.
type Sift struct {
	Host    string // the name, our authserv-id
	Removed int64  // octets taken out

	place   sifting
	held    []byte // part of a field that may be one to drop
	matched int    // octets of its name
	long    bool   // the field was too long to be held; it goes
}

// sifting is where in the header a Sift is.
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

// Done reports whether the header is over: what follows need not pass through.
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
	case lower(c) == resultsField[0], isStray(c) && c != ' ' && c != '\t':
		s.place, s.matched = inName, 0
		return s.name(dst, c)
	default:
		s.place = passing
	}
	return append(dst, c)
}

// isStray reports whether a lax reader may trim an octet from a name: blanks, controls, and
// parts of the white space that is beyond ASCII.
func isStray(c byte) bool { return c != '\n' && (c <= ' ' || c >= 0x7f) }

// name goes on with a line that may be the field: what may be trimmed, the name, what may
// be trimmed, the colon.
func (s *Sift) name(dst []byte, c byte) []byte {
	whole := s.matched == len(resultsField)
	switch {
	case whole && (c == ':' || s.long && c != '\n'): // a long one is not whole any more: it goes
		s.hold(c)
		s.place = inField
		return dst
	case isStray(c) && (whole || s.matched == 0):
		s.hold(c)
		if whole || !s.long {
			return dst
		}
		s.long = false // it was no more than blanks
		s.Removed--
	case !whole && lower(c) == resultsField[s.matched] && len(s.held) < maxField:
		s.matched++
		s.hold(c)
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

// isOurs reports whether the field that is held bears our name (RFC 8601 section 2.2: the
// first word after comments), or may do so for a reader that is laxer than the rules. The
// field is then gone for all readers.
func (s *Sift) isOurs() bool {
	_, value, _ := strings.Cut(string(s.held), ":")
	host := cmp.Or(asDomain(s.Host), strings.ToLower(s.Host))
	if bears(value, host) {
		return true
	}
	if !strings.Contains(value, "=?") {
		return false
	}
	decoded, err := reader.WordDecoder.DecodeHeader(value) // as some decode all of a header first
	return err == nil && bears(decoded, host)
}

// bears reports whether a value has the name host before its first semicolon, outside of
// comments. Readers do not agree about where a comment ends; each of their ways counts.
func bears(value, host string) bool {
	for _, nested := range [...]bool{true, false} {
		for _, escapes := range [...]bool{true, false} {
			id, _, _ := strings.Cut(withoutComments(value, nested, escapes), ";")
			id = strings.NewReplacer(`"`, "", `\`, "").Replace(id)
			whole, n := "", 0
			for word := range strings.FieldsFuncSeq(id, isBlank) {
				if isName(word, host) {
					return true
				}
				whole += word
				if n++; n == maxWords {
					break
				}
			}
			// Between the labels there may be blanks and comments (RFC 5322 section 4.4),
			// and after all a version.
			if isName(whole, host) || isName(strings.TrimRight(whole, "0123456789"), host) {
				return true
			}
		}
	}
	return false
}

// maxWords is how many words before the semicolon are looked at: the name with blanks
// between its labels, and a version.
const maxWords = 16

// isName reports whether a word is the name host, in any writing of it.
func isName(word, host string) bool {
	if len(word) > 4*255 {
		return false
	}
	return strings.EqualFold(strings.TrimSuffix(word, "."), host) || !isASCII(word) && asDomain(word) == host
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// isBlank reports whether a reader may take r for white space: Unicode's, controls, characters
// without width, and octets that are not UTF-8.
func isBlank(r rune) bool {
	return r <= ' ' || unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) || r == utf8.RuneError
}

// withoutComments leaves comments out of a value: they may nest, and a backslash in them
// may take the meaning of the octet after it.
func withoutComments(v string, nested, escapes bool) string {
	b := make([]byte, 0, len(v))
	depth := 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '(' && (nested || depth == 0):
			depth++
		case depth > 0 && escapes && c == '\\':
			i++
		case depth > 0 && c == ')':
			depth--
		case depth == 0:
			b = append(b, c)
		}
	}
	return string(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
