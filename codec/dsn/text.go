package dsn

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	foldAt = 78 // columns: RFC 5322 section 2.1.1
	// maxValue bounds a value that can't be folded and a word of one that can, in
	// octets: a line stays under 998.
	maxValue = 900
	fold     = "\r\n    "
)

// appendClean appends s for a line of text: "?" replaces a control, an octet that is
// not UTF-8, and unless wide everything beyond ASCII.
func appendClean(dst []byte, s string, wide bool) []byte {
	for _, c := range s {
		if unicode.IsControl(c) || c == utf8.RuneError || c >= 0x80 && !wide {
			c = '?'
		}
		dst = utf8.AppendRune(dst, c)
	}
	return dst
}

// appendClipped is appendClean for a value that can't be folded. What is too long
// ends with "...", which shows that it was cut.
func appendClipped(dst []byte, s string, wide bool) []byte {
	if len(s) <= maxValue {
		return appendClean(dst, s, wide)
	}
	return append(appendClean(dst, s[:runeStart(s, maxValue-3)], wide), "..."...)
}

// runeStart is the largest place in s up to n at which a character may be cut off.
func runeStart[T string | []byte](s T, n int) int {
	for back := range utf8.UTFMax {
		if n-back > 0 && utf8.RuneStart(s[n-back]) {
			return n - back
		}
	}
	return n // no UTF-8
}

// appendField appends a field with its line end.
func appendField(dst []byte, name, value string, wide bool) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = appendClipped(dst, value, wide)
	return append(dst, "\r\n"...)
}

// appendFolded appends the words of s, each after a blank, to the line that
// begins at dst[line:], and folds it where it gets too long: the next line begins
// with four blanks, as Postfix does it. Line ends in s count as blanks.
func appendFolded(dst []byte, line int, s string, wide bool) []byte {
	for word := range strings.FieldsFuncSeq(s, isBlank) {
		for len(word) > 0 {
			n := len(word)
			if n > maxValue {
				n = runeStart(word, maxValue)
			}
			at := len(dst)
			dst = appendClean(append(dst, ' '), word[:n], wide)
			if len(dst)-line > foldAt {
				line = at + len("\r\n")
				dst = appendClean(append(dst[:at], fold...), word[:n], wide)
			}
			word = word[n:]
		}
	}
	return append(dst, "\r\n"...)
}

// isBlank is about ASCII: other blanks, as that of Chinese text, are text.
func isBlank(c rune) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
