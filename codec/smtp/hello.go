package smtp

// ParseHello reads the argument of HELO or EHLO and reports whether it can be
// taken: at most 255 octets without controls, not counting blanks at either end. What
// is no FQDN, has an underscore, or is an address literal with an error is taken: to
// refuse it is not for the syntax (RFC 5321 section 4.1.4), and phones, printers and
// scales say such names. Characters with a meaning in a Received field or in a log are
// made harmless when these are written.
func ParseHello(arg []byte) (name []byte, ok bool) {
	if len(arg) == 0 || len(arg) > maxDomain {
		return nil, false
	}
	for _, c := range arg {
		if c < ' ' || c == 0x7f {
			return nil, false
		}
	}
	return arg, true
}
