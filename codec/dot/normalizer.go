package dot

// Normalizer brings text from a file or a pipe to good wire form: LF without CR
// becomes CRLF, a CR without LF is dropped, dots are stuffed, a last line without
// end gets one. The zero value is ready for a message; what was appended is
// counted in Counts.
type Normalizer struct {
	s    Stuffer
	left []byte // undecided
}

// Counts is what is known of the wire form so far.
func (z *Normalizer) Counts() Counts { return z.s.Counts }

// Append appends the wire form of src, cut anywhere, to dst. An octet or two may
// be held back until the next call.
func (z *Normalizer) Append(dst, src []byte) []byte {
	if len(z.left) > 0 {
		src = append(z.left, src...)
	}
	for {
		n, skip, v := z.s.Scan(src)
		dst = append(dst, src[:n]...)
		src = src[n+skip:]
		switch v {
		case More:
			z.left = append(z.left[:0], src...)
			return dst
		case BareLF:
			dst = append(dst, "\r\n"...)
			z.s.CountCRLF()
		case Stuff:
			dst = append(dst, '.')
		}
	}
}

// End appends what is missing at the end of the message, which is never empty
// then. A CR that was held back is a bare one.
func (z *Normalizer) End(dst []byte) []byte {
	z.left = z.left[:0]
	if z.s.AtLineStart() && z.s.Wire > 0 {
		return dst
	}
	z.s.CountCRLF()
	return append(dst, "\r\n"...)
}
