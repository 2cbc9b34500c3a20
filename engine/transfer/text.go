package transfer

import (
	"bufio"
	"bytes"
	"mime"
	"strings"

	"github.com/emersion/go-message/charset"

	"postrider/codec/message"
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

// words decodes encoded words (RFC 2047) of any charset that x/text knows.
var words = mime.WordDecoder{CharsetReader: charset.Reader}

// value is a header field's value in one line; encoded words (RFC 2047) are decoded.
func value(header []byte, name string) string {
	raw := rawValue(header, name)
	if text, err := words.DecodeHeader(raw); err == nil {
		return text
	}
	return raw
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
