package transfer

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"postrider/codec/message"
)

// maxHeader is how much of a header is looked at for the text forms.
const maxHeader = 256 << 10

// splitHeader reads the header at the start of in; n is its length.
func splitHeader(in *bufio.Reader) (header []byte, n int) {
	text, _ := in.Peek(maxHeader)
	rest := text
	for ok := true; ok; {
		_, rest, ok = message.Next(rest)
	}
	n = len(text) - len(rest)
	return text[:n], n
}

// rawValue is a header field's value in one line.
func rawValue(header []byte, name string) string {
	f, ok := message.Find(header, name)
	if !ok {
		return ""
	}
	return string(f.Unfolded())
}

// value is a header field's value in one line; encoded words (RFC 2047) are decoded.
func value(header []byte, name string) string {
	raw := rawValue(header, name)
	if text, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return text
	}
	return raw
}

// latin1 reads ISO-8859-1 as UTF-8.
type latin1 struct {
	in   io.Reader
	left []byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(l.left) == 0 {
		var in [4096]byte
		n, err := l.in.Read(in[:])
		if n == 0 {
			return 0, err
		}
		for _, c := range in[:n] {
			l.left = utf8.AppendRune(l.left, rune(c))
		}
	}
	n := copy(p, l.left)
	l.left = append(l.left[:0], l.left[n:]...)
	return n, nil
}

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
