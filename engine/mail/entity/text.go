package entity

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// glance is how much of a text is looked at to find its charset.
const glance = 4 << 10

// toUTF8 reads text of a charset in UTF-8. Text without a charset, or
// with an unknown one, is what it looks like from its first octet beyond ASCII on:
// UTF-8, ISO-2022-JP, or else Windows-1252. Text labelled UTF-8 is UTF-8 if anything
// in it is. An octet that is not valid in its charset becomes U+FFFD.
func toUTF8(in io.Reader, label string) io.Reader {
	b := bufio.NewReaderSize(in, glance)
	if d := markOf(b); d != nil {
		return transform.NewReader(b, d)
	}
	if isUTF8(label) {
		return &looking{in: b, declared: true}
	}
	if !saysNothing(label) {
		if d := decoderOf(label); d != nil {
			return transform.NewReader(b, d)
		}
	}
	return &looking{in: b}
}

// markOf takes the byte order mark that a text begins with: its decoder, or nil.
func markOf(b *bufio.Reader) transform.Transformer {
	begin, _ := b.Peek(3)
	switch {
	case bytes.HasPrefix(begin, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(3)
		return unicode.UTF8.NewDecoder().Transformer
	case bytes.HasPrefix(begin, []byte("\xff\xfe")), bytes.HasPrefix(begin, []byte("\xfe\xff")):
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder().Transformer
	}
	return nil
}

// htmlToUTF8 reads HTML in UTF-8. If its header field has no charset, a byte
// order mark or the page itself may name it.
func htmlToUTF8(in io.Reader, label string) io.Reader {
	if !saysNothing(label) && decoderOf(label) != nil {
		return toUTF8(in, label)
	}
	b := bufio.NewReaderSize(in, 2*glance)
	begin, _ := b.Peek(2 * glance)
	if found := charsetOfPage(begin); found != "" {
		return toUTF8(b, found)
	}
	return toUTF8(b, label)
}

// maxMeta is how many <meta> of a page are looked at.
const maxMeta = 30

// charsetOfPage is the label that a page gives itself in a <meta>; "": none.
func charsetOfPage(page []byte) string {
	lower := bytes.ToLower(page)
	for range maxMeta {
		i := bytes.Index(lower, []byte("<meta"))
		if i < 0 {
			return ""
		}
		lower = lower[i:]
		if e, name, _ := charset.DetermineEncoding(lower[:tagEnd(lower)], ""); e != nil && !(name == "windows-1252" || name == "utf-8" && !bytes.Contains(lower[:tagEnd(lower)], []byte("utf"))) {
			return name
		}
		lower = lower[1:]
	}
	return ""
}

// tagEnd is the length of the tag that text begins with.
func tagEnd(text []byte) int {
	if i := bytes.IndexByte(text, '>'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// looking reads text whose charset is found by how it looks.
type looking struct {
	in       *bufio.Reader
	declared bool // it is labelled UTF-8
	out      io.Reader
}

// Read implements io.Reader.
func (l *looking) Read(p []byte) (int, error) {
	if l.out != nil {
		return l.out.Read(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	ahead, err := l.in.Peek(max(l.in.Buffered(), 1))
	if len(ahead) == 0 {
		return 0, err
	}
	n := bytes.IndexFunc(ahead, func(r rune) bool { return r >= utf8.RuneSelf || r == '\x1b' && !l.declared })
	if n < 0 {
		n = len(ahead)
	}
	if n > 0 {
		n = copy(p, ahead[:n])
		_, _ = l.in.Discard(n)
		return n, nil
	}
	ahead, err = l.in.Peek(glance)
	if ahead[0] == '\x1b' {
		if !shiftsToJapanese(ahead) { // an escape that is none of a charset's
			p[0] = ahead[0]
			_, _ = l.in.Discard(1)
			return 1, nil
		}
		l.out = transform.NewReader(l.in, japanese.ISO2022JP.NewDecoder())
		return l.out.Read(p)
	}
	good, bad := sequences(ahead, err != nil)
	if bad == 0 || l.declared && good > 0 || good > bad {
		l.out = transform.NewReader(l.in, unicode.UTF8.NewDecoder())
	} else {
		l.out = transform.NewReader(l.in, charmap.Windows1252.NewDecoder())
	}
	return l.out.Read(p)
}

// shiftsToJapanese reports whether text begins with a shift of ISO-2022-JP (RFC 1468).
func shiftsToJapanese(text []byte) bool {
	for _, shift := range []string{"\x1b$B", "\x1b$@", "\x1b(J", "\x1b$(D", "\x1b(I"} {
		if bytes.HasPrefix(text, []byte(shift)) {
			return true
		}
	}
	return false
}

// sequences counts in text, cut anywhere unless it is whole, the sequences of several
// octets that are UTF-8 and the octets that are not.
func sequences(text []byte, whole bool) (good, bad int) {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1 && (whole || utf8.FullRune(text)):
			bad++
		case n > 1:
			good++
		}
		text = text[n:]
	}
	return good, bad
}

// NewText reads text of the charset with this label in UTF-8, as the text of a message is
// read; not ok: the charset is not known.
func NewText(in io.Reader, label string) (text io.Reader, ok bool) {
	return toUTF8(in, label), saysNothing(label) || decoderOf(label) != nil
}

// inUTF8 is a short text of a charset in UTF-8, as toUTF8 reads it.
func inUTF8(text, label string) string {
	d := transform.Transformer(nil)
	declared := isUTF8(label)
	if !declared && !saysNothing(label) {
		d = decoderOf(label)
	}
	if d == nil {
		if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf || r == '\x1b' }) {
			return text
		}
		good, bad := sequences([]byte(text), true)
		switch i := strings.IndexByte(text, '\x1b'); {
		case i >= 0 && good+bad == 0 && shiftsToJapanese([]byte(text[i:])):
			d = japanese.ISO2022JP.NewDecoder()
		case bad == 0:
			return strings.ToValidUTF8(text, "\ufffd")
		case declared && good > 0 || good > bad:
			d = unicode.UTF8.NewDecoder()
		default:
			d = charmap.Windows1252.NewDecoder()
		}
	}
	out, _, err := transform.String(d, text)
	if err != nil {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	return out
}

// isUTF8 reports whether a label is one of UTF-8.
func isUTF8(label string) bool {
	switch cleanLabel(label) {
	case "utf-8", "utf8", "utf_8", "utf8mb4", "utf-8mb4", "unicode-1-1-utf-8":
		return true
	}
	return false
}

// unixLines makes LF of CRLF.
type unixLines struct{ transform.NopResetter }

// Transform implements transform.Transformer.
func (unixLines) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		run := src[nSrc:]
		if i := bytes.IndexByte(run, '\r'); i > 0 {
			run = run[:i]
		} else if i == 0 {
			if len(run) == 1 && !atEOF {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if len(run) > 1 && run[1] == '\n' {
				nSrc, run = nSrc+1, run[1:2]
			} else {
				run = run[:1]
			}
		}
		n := copy(dst[nDst:], run)
		nDst, nSrc = nDst+n, nSrc+n
		if n < len(run) {
			return nDst, nSrc, transform.ErrShortDst
		}
	}
	return nDst, nSrc, nil
}
