package dot

// Mender brings what was stored as wire form by a version that was not strict about
// it to wire form: a lone dot at the start of a line goes, as every reader that
// follows the RFC took it; a LF without CR becomes CRLF, a CR without LF goes. What is
// in wire form stays as it is. The zero value is ready for a message.
type Mender struct {
	s    Scanner
	left []byte // undecided
}

// Append appends the wire form of src, cut anywhere, to dst. An octet or two may be
// held back until the next call.
func (m *Mender) Append(dst, src []byte) []byte {
	if len(m.left) > 0 {
		src = append(m.left, src...)
	}
	for {
		n, skip, v := m.s.Scan(src)
		dst = append(dst, src[:n]...)
		src = src[n+skip:]
		switch v {
		case More:
			m.left = append(m.left[:0], src...)
			return dst
		case End: // content: no terminator was ever stored
			dst = append(dst, "..\r\n"...)
			m.s = Scanner{}
		case BareLF:
			dst = append(dst, "\r\n"...)
			m.s.CountCRLF()
		case Stuff:
			dst = append(dst, '.')
		}
	}
}

// End appends what is missing at the end of the message.
func (m *Mender) End(dst []byte) []byte {
	if len(m.left) > 0 && m.left[0] == '.' {
		m.left = nil
		return append(dst, "..\r\n"...)
	}
	m.left = nil
	if m.s.AtLineStart() {
		return dst
	}
	return append(dst, "\r\n"...)
}
