package sasl

import (
	"bytes"
	"encoding/base64"
)

// MaxLine is the limit for a line with a response, in octets, with its end: the
// caller reads lines. RFC 4954 section 4 lets a server say 500 5.5.6 to what
// its buffer doesn't hold. The longest that we need is PLAIN, and it leaves 3,000
// octets for name and password; 12,288, which the RFC finds large enough for
// Kerberos, would be memory that each stranger may fill.
const MaxLine = 4096

// Decode decodes a response and appends it to dst; ok is false when text is not
// base64 (RFC 4648 section 4): another alphabet, blanks, line ends, missing or
// spare padding, bits after the end.
func Decode(dst, text []byte) (out []byte, ok bool) {
	if bytes.ContainsAny(text, "\r\n") { // which the library passes over
		return dst, false
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(dst, text)
	return out, err == nil
}

// DecodeInitial is Decode for the initial response in the command, where "="
// means an empty one (RFC 4954 section 4, RFC 5034 section 4).
func DecodeInitial(dst, text []byte) (out []byte, ok bool) {
	if string(text) == "=" {
		return dst, true
	}
	return Decode(dst, text)
}

// AppendEncode appends src as base64.
func AppendEncode(dst, src []byte) []byte { return base64.StdEncoding.AppendEncode(dst, src) }
