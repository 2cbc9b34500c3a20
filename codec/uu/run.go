package uu

// appendRun decodes the run of whole lines of 45 octets, all with LF or all with CRLF,
// that src begins with, and returns how many there are and their length in src.
func appendRun(dst, src []byte) (out []byte, lines, octets int) {
	stride := lineLen
	switch {
	case len(src) <= lineLen || src[0] != 'M':
		return dst, 0, 0
	case src[lineLen-1] == '\r':
		stride++
	}
	at, limit := len(dst), (len(src)-1)/stride
	dst = grow(dst, limit*perLine+slack)
	if useAVX2 {
		ends, mask := uint64('\n'), uint64(0xff)
		if stride > lineLen {
			ends, mask = '\r'|'\n'<<8, 0xffff
		}
		lines = decodeAVX2(&dst[at], &src[0], limit, stride, ends, mask)
	} else {
		lines = decodeLines(dst[at:], src, limit, stride)
	}
	return dst[:at+lines*perLine], lines, lines * stride
}

// slack is how many octets after a line the kernel may write to.
const slack = 4

// bits have what a character at place 0 to 3 of its group adds to the 24 bits of it;
// one that is none sets the highest bit.
var bits = func() (b [4][256]uint32) {
	for place := range b {
		for c, v := range value {
			b[place][c] = uint32(v) << (18 - 6*place)
			if v > 63 {
				b[place][c] = 1 << 31
			}
		}
	}
	return b
}()

// decodeLines decodes up to limit lines into out and stops at the first that is not
// whole or has a character outside the alphabet.
func decodeLines(out, src []byte, limit, stride int) int {
	for n := range limit {
		line := src[n*stride : n*stride+stride]
		if line[0] != 'M' || line[stride-1] != '\n' || stride > lineLen && line[lineLen-1] != '\r' {
			return n
		}
		chars, octets, all := line[1:1+perLine/3*4], out[n*perLine:n*perLine+perLine], uint32(0)
		for len(chars) >= 4 && len(octets) >= 3 {
			v := bits[0][chars[0]] | bits[1][chars[1]] | bits[2][chars[2]] | bits[3][chars[3]]
			all |= v
			octets[0], octets[1], octets[2] = byte(v>>16), byte(v>>8), byte(v)
			chars, octets = chars[4:], octets[3:]
		}
		if all>>31 != 0 {
			return n
		}
	}
	return limit
}
