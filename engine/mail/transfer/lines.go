package transfer

import "bytes"

// unixLines makes LF of CRLF, in pieces cut anywhere. A CR alone stays.
type unixLines struct{ cr bool }

// Append appends src to dst; a CR at its end is held back.
func (u *unixLines) Append(dst, src []byte) []byte {
	for len(src) > 0 {
		if u.cr && src[0] != '\n' {
			dst = append(dst, '\r')
		}
		u.cr = false
		n := bytes.IndexByte(src, '\r')
		if n < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:n]...)
		src, u.cr = src[n+1:], true
	}
	return dst
}

// Flush appends the CR that was held back.
func (u *unixLines) Flush(dst []byte) []byte {
	if u.cr {
		dst = append(dst, '\r')
		u.cr = false
	}
	return dst
}
