package web

import (
	"io"

	"postrider/codec/dot"
	"postrider/storage"
)

// content reads a stored message in plain form: its trace, then its body without
// stuffed dots.
type content struct {
	m    storage.Message
	u    dot.Unstuffer
	buf  []byte
	left []byte
	err  error // why reading stopped
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

var _ io.Reader = (*content)(nil)
