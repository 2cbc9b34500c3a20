package incoming

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"postrider/codec/smtp"
	"postrider/storage"
)

// ParseList reads a list of addresses, as in a header or on a command line. It returns each
// address as in a path: without display name, comments and white space, with its quotes.
// Names without a domain are accepted.
func ParseList(text string) ([]string, error) {
	l := list{rest: text}
	for l.rest != "" {
		if err := l.octet(); err != nil {
			return nil, fmt.Errorf("%w: addresses %q: %w", storage.ErrInvalid, shorten(text), err)
		}
	}
	if err := l.end(); err != nil {
		return nil, fmt.Errorf("%w: addresses %q: %w", storage.ErrInvalid, shorten(text), err)
	}
	return l.found, nil
}

// readList reads a list of addresses entry by entry, as ParseList does, but goes on at the
// next comma or semicolon after an entry that it can't read. bad has these entries as they
// are written.
func readList(text string) (found, bad []string) {
	l := list{rest: text}
	start := text // the current entry and the rest
	for l.rest != "" {
		separator := (l.rest[0] == ',' || l.rest[0] == ';') && !l.angle
		err := l.octet()
		switch {
		case err == nil && separator:
			start = l.rest
		case err != nil:
			end := strings.IndexAny(l.rest, ",;")
			if end < 0 {
				end = len(l.rest)
			}
			bad = append(bad, strings.TrimSpace(start[:len(start)-len(l.rest)+end]))
			l.rest = l.rest[min(end+1, len(l.rest)):]
			l.clear()
			l.done, start = false, l.rest
		}
	}
	if err := l.end(); err != nil {
		bad = append(bad, strings.TrimSpace(start))
	}
	return l.found, bad
}

// unreadable makes an entry that can't be read a recipient whose delivery fails: the result
// is printable and short, and is not a path of SMTP.
func unreadable(entry string) string {
	entry = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(shorten(entry), "?"))
	if _, err := ParseRecipient(entry, "domain.invalid"); err == nil || entry == "" {
		return "not an address: " + entry
	}
	return entry
}

// shorten cuts a text for an error.
func shorten(text string) string {
	if len(text) > 200 {
		return text[:200] + "..."
	}
	return text
}

// list reads addresses octet by octet.
type list struct {
	rest  string
	word  []byte // the address so far, or the display name before "<"
	blank bool   // white space was after word
	loose bool   // white space is between two words: word is a display name
	angle bool   // word is between angle brackets
	done  bool   // an address in angle brackets has ended; only ',' may follow
	found []string
}

var (
	errBetween = errors.New("a comma is missing between two addresses, or quotes around a name")
	errClose   = errors.New("a quote, comment, bracket or < is not closed")
	errEmpty   = errors.New("no address between < and >")
)

// octet reads the next octet, or the whole comment, quoted string or literal that it opens.
func (l *list) octet() error {
	c := l.rest[0]
	switch {
	case c == '(':
		return l.comment()
	case c == '"':
		return l.take(quotedLen(l.rest))
	case c == '[':
		return l.take(strings.IndexByte(l.rest, ']') + 1)
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		l.blank = len(l.word) > 0
	case c == '<' && !l.angle:
		if l.done {
			return errBetween
		}
		l.clear()
		l.angle = true
	case c == '>' && l.angle:
		if len(l.word) == 0 {
			return errEmpty
		}
		if l.loose {
			return errBetween
		}
		l.found = append(l.found, string(l.word))
		l.clear()
		l.done = true
	case c == ':' && !l.angle && !l.done: // after a group's name
		if bytes.IndexByte(l.word, '@') >= 0 { // "a@b Bcc: c@d" is not a group: a@b would be lost in silence
			return errBetween
		}
		l.clear()
	case (c == ',' || c == ';') && !l.angle:
		if err := l.end(); err != nil {
			return err
		}
	default:
		return l.take(1)
	}
	l.rest = l.rest[1:]
	return nil
}

// take moves n octets to word. n is 0 when a quote or literal has no end.
func (l *list) take(n int) error {
	if n <= 0 {
		return errClose
	}
	if l.done {
		return errBetween
	}
	if l.blank && !joins(l.word[len(l.word)-1]) && !joins(l.rest[0]) {
		l.loose = true
	}
	l.blank = false
	l.word = append(l.word, l.rest[:n]...)
	l.rest = l.rest[n:]
	return nil
}

// joins reports whether white space beside c may be inside an address.
func joins(c byte) bool { return c == '@' || c == '.' || c == ',' || c == ':' }

// end ends an entry, and adds word if it is an address without angle brackets.
func (l *list) end() error {
	switch {
	case l.angle:
		return errClose
	case l.loose:
		return errBetween
	case len(l.word) > 0:
		l.found = append(l.found, string(l.word))
	}
	l.clear()
	l.done = false
	return nil
}

func (l *list) clear() {
	l.word, l.blank, l.loose, l.angle = l.word[:0], false, false, false
}

// comment skips a comment, which may contain comments.
func (l *list) comment() error {
	depth := 0
	for i := 0; i < len(l.rest); i++ {
		switch l.rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				l.rest = l.rest[i+1:]
				l.blank = len(l.word) > 0
				return nil
			}
		}
	}
	return errClose
}

// quotedLen returns how long the quoted string at the start of s is, or 0 if it has no end.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// qualify adds domain to an address without one.
func qualify(address, domain string) string {
	if strings.LastIndexByte(address, '@') > strings.LastIndexByte(address, '"') {
		return address
	}
	return address + "@" + domain
}

// ParseRecipient parses a recipient, as ParseList returns it, by the grammar of RCPT. A name
// without a domain gets domain.
func ParseRecipient(address, domain string) (smtp.ForwardPath, error) {
	args, refused := smtp.ParseRcpt([]byte("TO:<"+qualify(address, domain)+">"), 0, true)
	if refused != nil {
		return smtp.ForwardPath{}, fmt.Errorf("%w: %q is not a recipient address", storage.ErrInvalid, shorten(address))
	}
	return args.To, nil
}

// reversePath parses a sender by the grammar of MAIL. "" is the null path.
func reversePath(address, domain string) (smtp.ReversePath, error) {
	if address != "" {
		address = qualify(address, domain)
	}
	args, refused := smtp.ParseMail([]byte("FROM:<"+address+"> SMTPUTF8"), smtp.ExtSMTPUTF8)
	if refused != nil {
		return smtp.ReversePath{}, fmt.Errorf("%w: %q is not a sender address", storage.ErrInvalid, shorten(address))
	}
	return args.From, nil
}
