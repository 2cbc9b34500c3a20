package pop3

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// MaxLine is the most octets of a command line with its CRLF. RFC 2449 section 4
// asks for 255; passwords made by machines are longer at times.
const MaxLine = 512

// Verb is the keyword of a command.
type Verb uint8

// The verbs, by the RFC that defines them.
const (
	Unknown Verb = iota
	USER         // RFC 1939
	PASS
	APOP
	QUIT
	STAT
	LIST
	RETR
	DELE
	NOOP
	RSET
	TOP
	UIDL
	CAPA // RFC 2449
	UTF8 // RFC 6856
	LANG
	AUTH // RFC 5034
	STLS // RFC 2595

	// Verbs is how many there are, for tables.
	Verbs = iota
)

var verbNames = [Verbs]string{
	"", "USER", "PASS", "APOP", "QUIT", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL", "CAPA", "UTF8", "LANG", "AUTH", "STLS",
}

// String returns the keyword in upper case; of Unknown, nothing.
func (v Verb) String() string { return verbNames[v] }

// Command is one command. Its slices are borrowed from the line.
type Command struct {
	Verb Verb
	// Name is the mailbox of USER and APOP, valid UTF-8 without control characters.
	Name []byte
	// Password is the argument of PASS: any octets but NUL, with all blanks.
	Password []byte
	// Digest is the second argument of APOP: 32 hexadecimal digits.
	Digest []byte
	// Tag is the language range of LANG; empty when none was given.
	Tag []byte
	// Mechanism is the first argument of AUTH; empty when none was given. Initial is
	// the second, as it came; nil when there is none.
	Mechanism, Initial []byte
	// Number is the message-number of LIST, UIDL, RETR, DELE and TOP, None when
	// LIST or UIDL has none. It may be 0 or above what any maildrop has.
	Number int
	// Lines is the second argument of TOP.
	Lines int
}

// None is the Number of a LIST or UIDL for the whole maildrop.
const None = -1

// Parse reads a command from line, which is without its CRLF. The Verb is there
// even when ok is false; that means that it is Unknown, or that the arguments are
// not the ones that it has.
func Parse(line []byte) (c Command, ok bool) {
	keyword, args, hasArgs := bytes.Cut(line, []byte{' '})
	c.Verb, c.Number = verbOf(keyword), None
	if c.Verb != PASS {
		args = bytes.TrimRight(args, " ")
		hasArgs = len(args) > 0
	}
	switch c.Verb {
	case Unknown:
		return c, false
	case USER:
		c.Name = args
		return c, isName(args)
	case PASS:
		c.Password = args
		return c, len(args) > 0 && bytes.IndexByte(args, 0) < 0
	case APOP:
		ok = c.apop(args)
	case LIST, UIDL:
		ok = !hasArgs || c.number(args)
	case RETR, DELE:
		ok = c.number(args)
	case TOP:
		ok = c.top(args)
	case AUTH:
		c.auth(args)
		ok = true
	case LANG:
		c.Tag = args
		ok = !hasArgs || isTag(args)
	default:
		ok = !hasArgs
	}
	return c, ok
}

// verbOf finds a keyword. POP3's keywords have 3 or 4 letters; they are compared
// as one number, in upper case.
func verbOf(keyword []byte) Verb {
	if len(keyword) == 3 && fold(keyword) == keyTOP {
		return TOP
	}
	if len(keyword) != 4 {
		return Unknown
	}
	switch fold(keyword) {
	case 'U'<<24 | 'S'<<16 | 'E'<<8 | 'R':
		return USER
	case 'P'<<24 | 'A'<<16 | 'S'<<8 | 'S':
		return PASS
	case 'A'<<24 | 'P'<<16 | 'O'<<8 | 'P':
		return APOP
	case 'Q'<<24 | 'U'<<16 | 'I'<<8 | 'T':
		return QUIT
	case 'S'<<24 | 'T'<<16 | 'A'<<8 | 'T':
		return STAT
	case 'L'<<24 | 'I'<<16 | 'S'<<8 | 'T':
		return LIST
	case 'R'<<24 | 'E'<<16 | 'T'<<8 | 'R':
		return RETR
	case 'D'<<24 | 'E'<<16 | 'L'<<8 | 'E':
		return DELE
	case 'N'<<24 | 'O'<<16 | 'O'<<8 | 'P':
		return NOOP
	case 'R'<<24 | 'S'<<16 | 'E'<<8 | 'T':
		return RSET
	case 'U'<<24 | 'I'<<16 | 'D'<<8 | 'L':
		return UIDL
	case 'C'<<24 | 'A'<<16 | 'P'<<8 | 'A':
		return CAPA
	case 'U'<<24 | 'T'<<16 | 'F'<<8 | '8':
		return UTF8
	case 'L'<<24 | 'A'<<16 | 'N'<<8 | 'G':
		return LANG
	case 'A'<<24 | 'U'<<16 | 'T'<<8 | 'H':
		return AUTH
	case 'S'<<24 | 'T'<<16 | 'L'<<8 | 'S':
		return STLS
	}
	return Unknown
}

const keyTOP = 'T'<<16 | 'O'<<8 | 'P'

// fold packs up to 4 octets into a number, letters in upper case.
func fold(b []byte) (key uint32) {
	for _, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		key = key<<8 | uint32(c)
	}
	return key
}

// number reads a message-number that is the whole of args.
func (c *Command) number(args []byte) (ok bool) {
	c.Number, ok = parseNumber(args)
	return ok
}

// top reads "msg n".
func (c *Command) top(args []byte) (ok bool) {
	msg, lines, _ := bytes.Cut(args, []byte{' '})
	if !c.number(msg) {
		return false
	}
	c.Lines, ok = parseNumber(lines)
	return ok
}

// auth reads "mechanism [initial-response]".
func (c *Command) auth(args []byte) {
	var has bool
	if c.Mechanism, c.Initial, has = bytes.Cut(args, []byte{' '}); !has {
		c.Initial = nil
	}
}

// apop reads "name digest". A name may have blanks, a digest has none.
func (c *Command) apop(args []byte) bool {
	i := bytes.LastIndexByte(args, ' ')
	if i < 0 {
		return false
	}
	c.Name, c.Digest = args[:i], args[i+1:]
	if len(c.Digest) != 32 {
		return false
	}
	for _, d := range c.Digest {
		if (d < '0' || d > '9') && (d|0x20 < 'a' || d|0x20 > 'f') {
			return false
		}
	}
	return isName(c.Name)
}

// parseNumber reads digits. A number above what an int holds is the largest int:
// a message that no maildrop has, more lines than any message has.
func parseNumber(b []byte) (n int, ok bool) {
	for _, d := range b {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n > (math.MaxInt-9)/10 {
			n = math.MaxInt
			continue
		}
		n = n*10 + int(d-'0')
	}
	return n, len(b) > 0
}

// isName reports whether b names a mailbox: UTF-8 (RFC 6856 section 2.2), and
// nothing that could spoil a log line.
func isName(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	return len(b) > 0 && utf8.Valid(b)
}

// isTag reports whether b is a basic language range (RFC 4647 section 2.1).
func isTag(b []byte) bool {
	for _, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '*' {
			return false
		}
	}
	return true
}
