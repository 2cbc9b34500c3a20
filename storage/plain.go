package storage

import (
	"io"

	"postrider/codec/dot"
)

// Plain reads a stored message as POP3 gives it and people have it: its trace, then its
// body, without stuffed dots. It belongs to one goroutine; the Message stays the caller's.
type Plain struct {
	m    Message
	u    dot.Unstuffer
	buf  []byte
	left []byte
	err  error // why reading stopped; io.EOF at the end
}

// NewPlain begins to read.
func NewPlain(m Message) *Plain { return &Plain{m: m, left: m.Entry().Trace} }

// Read implements io.Reader.
func (c *Plain) Read(p []byte) (int, error) {
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

// Err is the store's error, if that is what ended the reading.
func (c *Plain) Err() error {
	if c.err == io.EOF {
		return nil
	}
	return c.err
}
