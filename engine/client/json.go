package client

import (
	"unicode/utf16"
	"unicode/utf8"
)

// AppendJSON appends text of JSON to dst, with escapes for the characters that Printable
// replaces: they have no place in JSON but in strings, and any reader of JSON takes an
// escape for the character itself. So nothing is lost, and nothing commands the terminal
// on which it is shown.
func AppendJSON(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '\n' || r == '\t' || r == utf8.RuneError || harmless(r) == r:
			dst = append(dst, text[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = appendEscape(appendEscape(dst, high), low)
		default:
			dst = appendEscape(dst, r)
		}
		text = text[n:]
	}
	return dst
}

func appendEscape(dst []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[unit>>12&15], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
}
