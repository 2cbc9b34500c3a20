package transfer

import (
	"bufio"
	"bytes"
	"mime"
	"strings"
	"unicode"

	"golang.org/x/text/runes"

	"postrider/codec/message"
	"postrider/engine/mail/entity"
)

// maxHeader is how much of a header is looked at for the text forms.
const maxHeader = 256 << 10

// splitHeader is the header that in begins with, which stays to be read.
func splitHeader(in *bufio.Reader) []byte {
	text, _ := in.Peek(maxHeader)
	rest := text
	for ok := true; ok; {
		_, rest, ok = message.Next(rest)
	}
	return text[:len(text)-len(rest)]
}

// rawValue is a header field's value in one line.
func rawValue(header []byte, name string) string {
	f, ok := message.Find(header, name)
	if !ok {
		return ""
	}
	return string(f.Unfolded())
}

// subjectOf is the subject in UTF-8, as package entity shows it everywhere.
func subjectOf(header []byte) string {
	h, _ := entity.ReadHead(bytes.NewReader(header), entity.DefaultLimits) // what can't be read is empty
	return h.Subject
}

// noCR drops CR: in line ends, and where it would let a line overwrite another.
var noCR = runes.Remove(runes.Predicate(func(r rune) bool { return r == '\r' }))

// visible shows control characters by their pictures: else a text from a message could
// command the terminal that the file is shown on. Characters without a picture, and
// octets that are not UTF-8, are U+FFFD.
var visible = runes.Map(func(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r == '\f':
		return r
	case r < ' ':
		return '\u2400' + r
	case r == 0x7f:
		return '\u2421'
	case r < 0xa0 && r > 0x7f:
		return unicode.ReplacementChar
	}
	return r
})

// shortAddress is an address without its domain if that is the default one.
func shortAddress(addr, defaultDomain string) string {
	at := strings.LastIndexByte(addr, '@')
	if at > 0 && defaultDomain != "" && strings.EqualFold(addr[at+1:], defaultDomain) {
		return addr[:at]
	}
	return addr
}

// wholeAddress undoes shortAddress.
func wholeAddress(addr, defaultDomain string) string {
	if addr == "" || defaultDomain == "" || strings.Contains(addr, "@") {
		return addr
	}
	return addr + "@" + defaultDomain
}

// plainHeader is the header of a message made of a plain entry.
func plainHeader(from, to, date, subject string) []byte {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("From", from)
	field("To", to)
	field("Date", date)
	field("Subject", mime.QEncoding.Encode("utf-8", subject))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	return b.Bytes()
}
