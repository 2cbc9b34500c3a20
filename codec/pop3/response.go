package pop3

import "strconv"

// Terminator ends a multi-line response, after the CRLF of its last line.
const Terminator = ".\r\n"

// MaxUIDL is the most octets of a unique-id (RFC 1939 section 7).
const MaxUIDL = 70

// ValidUIDL reports whether s can be a unique-id: 1 to 70 characters from 0x21 to 0x7E
// (RFC 1939 section 7).
func ValidUIDL(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return len(s) > 0 && len(s) <= MaxUIDL
}

// Code is a response code, which is put in brackets before the text of an -ERR
// for the program that reads it (RFC 2449 section 8).
type Code string

// The codes.
const (
	NoCode        Code = ""
	CodeAuth      Code = "AUTH"        // the credentials are at fault (RFC 3206 section 5)
	CodeInUse     Code = "IN-USE"      // another session has the maildrop (RFC 2449 section 8.1.2)
	CodeDelay     Code = "LOGIN-DELAY" // too soon after the last login (RFC 2449 section 8.1.1)
	CodeTemporary Code = "SYS/TEMP"    // a failure on our side that may pass (RFC 3206 section 4)
	CodePermanent Code = "SYS/PERM"    // one that needs a person (RFC 3206 section 4)
)

// Codes are all of them.
var Codes = [...]Code{NoCode, CodeAuth, CodeInUse, CodeDelay, CodeTemporary, CodePermanent}

// AppendOK appends "+OK " to dst. The text and CRLF follow.
func AppendOK(dst []byte) []byte { return append(dst, "+OK "...) }

// AppendErr appends "-ERR " to dst, and the code in brackets if there is one. The
// text and CRLF follow.
func AppendErr(dst []byte, code Code) []byte {
	dst = append(dst, "-ERR "...)
	if code == NoCode {
		return dst
	}
	dst = append(dst, '[')
	dst = append(dst, code...)
	return append(dst, "] "...)
}

// AppendPair appends "number octets", as STAT's drop listing and LIST's scan
// listing have it (RFC 1939 section 5). CRLF follows.
func AppendPair(dst []byte, number int, octets int64) []byte {
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, octets, 10)
}
