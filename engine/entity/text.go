package entity

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// toUTF8 reads text of a charset in UTF-8. What says nothing of its charset, or what
// isn't true, is UTF-8 or else Windows-1252, by how its beginning looks: an octet that is
// none of its charset becomes U+FFFD.
func toUTF8(in io.Reader, set string) io.Reader {
	switch strings.ToLower(set) {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "8bit":
	default:
		if out, err := charset.Reader(set, in); err == nil {
			return out
		}
	}
	b := bufio.NewReaderSize(in, 4<<10)
	text, _ := b.Peek(4 << 10)
	if looksUTF8(text) {
		return unicode.UTF8.NewDecoder().Reader(b)
	}
	return charmap.Windows1252.NewDecoder().Reader(b)
}

// looksUTF8 says whether text, cut anywhere, is UTF-8.
func looksUTF8(text []byte) bool {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 && utf8.FullRune(text) {
			return false
		}
		text = text[n:]
	}
	return true
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
