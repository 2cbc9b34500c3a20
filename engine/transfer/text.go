package transfer

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"postrider/codec/message"
)

// maxHeader is how much of a header is looked at for the text forms.
const maxHeader = 256 << 10

// maxDepth is how deep a multipart is searched.
const maxDepth = 8

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

// value is a header field's value in one line; encoded words (RFC 2047) are decoded.
func value(header []byte, name string) string {
	f, ok := message.Find(header, name)
	if !ok {
		return ""
	}
	raw := string(f.Unfolded())
	if text, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return text
	}
	return raw
}

// textPart finds the first text/plain part of a body, decoded; nil without one.
// What it returns ends early, with a line that says so, where it can't be decoded.
func textPart(body io.Reader, contentType, encoding string, depth int) io.Reader {
	if contentType == "" {
		contentType = "text/plain"
	}
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || depth > maxDepth:
		return nil
	case kind == "text/plain":
		return decoded(body, encoding, params["charset"])
	case !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "":
		return nil
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return nil
		}
		field := func(name string) string { return textproto.MIMEHeader(p.Header).Get(name) }
		if text := textPart(p, field("Content-Type"), field("Content-Transfer-Encoding"), depth+1); text != nil {
			return text
		}
	}
}

func decoded(body io.Reader, encoding, charset string) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if strings.EqualFold(charset, "iso-8859-1") {
		body = &latin1{in: body}
	}
	return &lenient{in: body}
}

// lenient ends the text where its decoder fails.
type lenient struct {
	in   io.Reader
	note *strings.Reader
}

func (l *lenient) Read(p []byte) (int, error) {
	if l.note != nil {
		return l.note.Read(p)
	}
	n, err := l.in.Read(p)
	if err != nil && err != io.EOF {
		l.note, err = strings.NewReader("\n[The rest of the text can't be decoded.]\n"), nil
	}
	return n, err
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
