package dsn

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"postrider/codec/smtp"
)

// isUTF8Type: the address type of RFC 6533 section 3.
func isUTF8Type(kind string) bool { return strings.EqualFold(kind, "utf-8") }

// appendAddress appends an address with its type and a line end: "rfc822; a@b".
// Beyond ASCII the type is utf-8, and what can't hold UTF-8 has it as
// utf-8-addr-xtext: "utf-8; \x{F6}@b".
func appendAddress(dst []byte, address string, wide bool) []byte {
	if !eightBit(address) || !utf8.ValidString(address) {
		dst = appendClipped(append(dst, "rfc822; "...), address, false)
		return append(dst, "\r\n"...)
	}
	return appendUTF8(append(dst, "utf-8; "...), address, wide)
}

// appendORcpt appends Original-Recipient (RFC 3464 section 2.3.1): ORCPT decoded.
// A malformed ORCPT gives no field.
func appendORcpt(dst []byte, orcpt string, wide bool) []byte {
	kind, address, ok := cutORcpt(orcpt)
	if !ok {
		return dst
	}
	dst = append(dst, "Original-Recipient: "...)
	dst = append(dst, kind...)
	dst = append(dst, "; "...)
	if isUTF8Type(kind) {
		return appendUTF8(dst, string(appendUnescaped(nil, address)), wide)
	}
	dst = appendClipped(dst, string(smtp.AppendXtextDecoded(nil, []byte(address))), false)
	return append(dst, "\r\n"...)
}

// cutORcpt cuts ORCPT into type and encoded address. The type is an atom, and so
// is safe in a field.
func cutORcpt(orcpt string) (kind, address string, ok bool) {
	kind, address, ok = strings.Cut(orcpt, ";")
	for i := range len(kind) {
		c := kind[i]
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '_' || c == '.') {
			return "", "", false
		}
	}
	return kind, address, ok && kind != "" && len(kind) <= 60 && address != ""
}

// appendUTF8 appends an address of type utf-8 and a line end: as it is when wide,
// else in the form for 7 bits.
func appendUTF8(dst []byte, address string, wide bool) []byte {
	if wide {
		dst = appendClipped(dst, address, true)
		return append(dst, "\r\n"...)
	}
	start := len(dst)
	for _, c := range address {
		if len(dst)-start > maxValue {
			dst = append(dst, "..."...)
			break
		}
		if c > ' ' && c < 0x7f && c != '+' && c != '=' && c != '\\' {
			dst = append(dst, byte(c))
			continue
		}
		dst = append(dst, `\x{`...)
		if c < 0x10 {
			dst = append(dst, '0')
		}
		dst = append(dst, strings.ToUpper(strconv.FormatInt(int64(c), 16))...)
		dst = append(dst, '}')
	}
	return append(dst, "\r\n"...)
}

// appendUnescaped decodes utf-8-addr-xtext or utf-8-addr-unitext:
// "\x{F6}" is "ö". What is no such escape stays as it is.
func appendUnescaped(dst []byte, s string) []byte {
	for {
		before, rest, found := strings.Cut(s, `\x{`)
		dst = append(dst, before...)
		if !found {
			return dst
		}
		hex, _, closed := strings.Cut(rest[:min(len(rest), 7)], "}")
		n, err := strconv.ParseUint(hex, 16, 21)
		if err != nil || !closed || !utf8.ValidRune(rune(n)) {
			dst = append(dst, `\x{`...)
			s = rest
			continue
		}
		dst = utf8.AppendRune(dst, rune(n))
		s = rest[len(hex)+1:]
	}
}
