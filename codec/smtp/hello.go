package smtp

import "bytes"

// ParseHello reads the argument of HELO or EHLO and says whether it can be
// taken: one word without the octets that mean something in a Received field
// (RFC 5321 section 4.4), or an address literal. A name that doesn't resolve, is
// no FQDN or has an underscore is taken: to refuse it is not for the syntax
// (section 4.1.4).
func ParseHello(arg []byte) (name []byte, ok bool) {
	if len(arg) == 0 || len(arg) > maxDomain {
		return nil, false
	}
	if arg[0] == '[' {
		return arg, isLiteral(arg)
	}
	for _, c := range arg {
		if !is(c, printed) || c >= 0x80 || bytes.IndexByte(helloSpecials, c) >= 0 {
			return nil, false
		}
	}
	return arg, true
}

var helloSpecials = []byte("()<>[]\\,;\"@")
