package entity

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// utf7 decodes UTF-7 (RFC 2152), which is read only where a label names it. It keeps a
// few bits between calls and no text. Text that is not UTF-7 stays as it is.
type utf7 struct {
	shifted bool
	begun   bool // a character of base64 has come after the "+"
	bits    uint32
	count   int  // number of bits kept
	high    rune // a surrogate that waits for its other half
}

// Reset implements transform.Transformer.
func (u *utf7) Reset() { *u = utf7{} }

// Transform implements transform.Transformer.
func (u *utf7) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		if !u.shifted {
			switch {
			case c == '+':
				*u = utf7{shifted: true}
			case c < utf8.RuneSelf:
				dst[nDst] = c
				nDst++
			default:
				nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
			}
			continue
		}
		if v := base64Values[c]; v < 64 {
			u.begun = true
			u.bits, u.count = u.bits<<6|uint32(v), u.count+6
			if u.count >= 16 {
				u.count -= 16
				nDst += u.unit(dst[nDst:], rune(u.bits>>u.count&0xffff))
			}
			continue
		}
		nDst += u.end(dst[nDst:])
		switch {
		case c == '-' && !u.begun:
			dst[nDst] = '+'
			nDst++
		case c == '-':
		case c < utf8.RuneSelf:
			dst[nDst] = c
			nDst++
		default:
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		}
	}
	if !atEOF {
		return nDst, nSrc, nil
	}
	if len(dst)-nDst < utf8.UTFMax {
		return nDst, nSrc, transform.ErrShortDst
	}
	return nDst + u.end(dst[nDst:]), nSrc, nil
}

// unit takes a unit of UTF-16.
func (u *utf7) unit(dst []byte, r rune) (n int) {
	if u.high != 0 {
		if both := utf16.DecodeRune(u.high, r); both != utf8.RuneError {
			u.high = 0
			return utf8.EncodeRune(dst, both)
		}
		n = utf8.EncodeRune(dst, utf8.RuneError)
		u.high = 0
	}
	if r >= 0xd800 && r < 0xdc00 {
		u.high = r
		return n
	}
	return n + utf8.EncodeRune(dst[n:], r) // a lone low surrogate is U+FFFD
}

// end ends the base64; half a character is U+FFFD.
func (u *utf7) end(dst []byte) (n int) {
	if u.high != 0 {
		n = utf8.EncodeRune(dst, utf8.RuneError)
	}
	u.shifted, u.high = false, 0
	return n
}
