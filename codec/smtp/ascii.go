package smtp

// Octet classes. One octet has several bits.
const (
	atext   = 1 << iota // RFC 5322 section 3.2.3, and the octets of UTF-8
	letDig              // letters, digits, and the octets of UTF-8
	xchar               // xtext without "+", RFC 3461 section 4
	value               // esmtp-value, RFC 5321 section 4.1.2
	printed             // neither control nor blank
)

var class = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		alnum := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if alnum || c >= 0x80 {
			t[i] |= atext | letDig
		}
		if '!' <= c && c <= '~' {
			t[i] |= printed
			if c != '=' {
				t[i] |= value
			}
			if c != '=' && c != '+' {
				t[i] |= xchar
			}
		}
		if c >= 0x80 {
			t[i] |= value | printed
		}
	}
	for _, c := range "!#$%&'*+-/=?^_`{|}~" {
		t[c] |= atext
	}
	return t
}()

func is(c byte, k uint8) bool { return class[c]&k != 0 }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalFoldASCII reports whether b is the word s, which is in lower case, in any
// case.
func equalFoldASCII(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != s[i] {
			return false
		}
	}
	return true
}

// trimBlanks drops blanks at both ends.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// parseDecimal reads digits only: no sign, no blank, at most 20 digits (RFC 1870
// section 6). A number over the largest int64 is the largest int64, so that a
// limit is never passed by wrapping.
func parseDecimal(b []byte) (int64, bool) {
	const limit = 1<<63 - 1
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		d := int64(c - '0')
		if n > (limit-d)/10 {
			n = limit
			continue
		}
		n = n*10 + d
	}
	return n, true
}
