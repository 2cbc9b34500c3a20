package smtp

import (
	"bytes"
	"unicode/utf8"
)

func parseBody(v []byte, offered Extensions) Body {
	switch {
	case equalFoldASCII(v, "7bit"):
		return Body7Bit
	case equalFoldASCII(v, "8bitmime"):
		return Body8BitMIME
	case equalFoldASCII(v, "binarymime") && offered&ExtBinaryMIME != 0:
		return BodyBinaryMIME
	}
	return BodyUnsaid
}

func parseRet(v []byte) Ret {
	switch {
	case equalFoldASCII(v, "full"):
		return RetFull
	case equalFoldASCII(v, "hdrs"):
		return RetHdrs
	}
	return RetUnsaid
}

// parseNotify reads NEVER or a list of the others; 0 is a syntax error.
func parseNotify(v []byte) (set Notify) {
	for len(v) > 0 {
		name, rest, more := bytes.Cut(v, comma)
		n := notifyOf(name)
		if n == 0 || set&n != 0 || more && len(rest) == 0 {
			return 0
		}
		set |= n
		v = rest
	}
	if set&NotifyNever != 0 && set != NotifyNever {
		return 0
	}
	return set
}

var comma, semicolon = []byte(","), []byte(";")

func notifyOf(name []byte) Notify {
	switch {
	case equalFoldASCII(name, "never"):
		return NotifyNever
	case equalFoldASCII(name, "success"):
		return NotifySuccess
	case equalFoldASCII(name, "failure"):
		return NotifyFailure
	case equalFoldASCII(name, "delay"):
		return NotifyDelay
	}
	return 0
}

// isORcpt reports whether v is addr-type ";" xtext of at most 500 octets (RFC 3461
// section 4.2). UTF-8 is taken for the type utf-8 only (RFC 6533 section 3).
func isORcpt(v []byte, international bool) bool {
	kind, address, found := bytes.Cut(v, semicolon)
	if !found || len(kind) == 0 || len(address) == 0 || len(v) > 500 {
		return false
	}
	for _, c := range kind {
		if !is(c, atext) || c >= 0x80 {
			return false
		}
	}
	if international && equalFoldASCII(kind, "utf-8") {
		return utf8.Valid(address) && !bytes.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7F })
	}
	return isXtext(address)
}

// isXtext reports whether v is xtext (RFC 3461 section 4): printable ASCII without
// "+" and "=", and hexchars, "+" with two upper-case digits. A hexchar may
// encode any octet: check it again after decoding.
func isXtext(v []byte) bool {
	for i := 0; i < len(v); i++ {
		switch {
		case is(v[i], xchar):
		case v[i] == '+' && i+2 < len(v) && unhex(v[i+1]) >= 0 && unhex(v[i+2]) >= 0:
			i += 2
		default:
			return false
		}
	}
	return true
}

// AppendXtextDecoded appends the xtext v, decoded, to dst. Octets that are not
// printable ASCII come out as "?", so that the result is safe in a header.
func AppendXtextDecoded(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '+' && i+2 < len(v) && unhex(v[i+1]) >= 0 && unhex(v[i+2]) >= 0 {
			c = byte(unhex(v[i+1])<<4 | unhex(v[i+2]))
			i += 2
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// AppendXtext appends v as xtext to dst.
func AppendXtext(dst, v []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range v {
		if is(c, xchar) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '+', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
