package transfer

import (
	"bytes"
	"io"

	"postrider/codec/dot"
	"postrider/storage"
)

// content reads a stored message as POP3 gives it, without stuffed dots: trace
// and body.
type content struct {
	m    storage.Message
	u    dot.Unstuffer
	buf  []byte
	left []byte
	err  error // why reading stopped; io.EOF at the end
}

func newContent(m storage.Message) *content { return &content{m: m, left: m.Entry().Trace} }

func (c *content) Read(p []byte) (int, error) {
	for len(c.left) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		var piece []byte
		if piece, c.err = c.m.Next(); c.err == nil {
			c.buf = c.u.Append(c.buf[:0], piece)
			c.left = c.buf
		}
	}
	n := copy(p, c.left)
	c.left = c.left[n:]
	return n, nil
}

// failed is the store's error, if that is what ended the reading.
func (c *content) failed() error {
	if c.err == io.EOF {
		return nil
	}
	return c.err
}

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
