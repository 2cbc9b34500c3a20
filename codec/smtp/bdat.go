package smtp

import "bytes"

var badBdat = Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: BDAT count [LAST]"}

// ParseBdat reads the arguments of BDAT (RFC 3030 section 2): how many octets
// follow the line, and whether they are the message's last. A count that does not
// fit into an int64 is refused: no peer could send that much.
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
