package smtp

import "bytes"

var badBdat = Reply{501, "5.5.4", "Syntax: BDAT count [LAST]"}

// ParseBdat reads what stands behind BDAT (RFC 3030 section 2): the octets that
// follow the line, and whether they are the last of the message. A count that
// does not fit is refused: nobody could send that much.
func ParseBdat(arg []byte) (size int64, last bool, refused *Reply) {
	i := bytes.IndexAny(arg, " \t")
	if i < 0 {
		i = len(arg)
	}
	size, ok := parseDecimal(arg[:i])
	rest := trimBlanks(arg[i:])
	last = equalFoldASCII(rest, "last")
	if !ok || size == 1<<63-1 || len(rest) > 0 && !last {
		return 0, false, &badBdat
	}
	return size, last, nil
}

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
