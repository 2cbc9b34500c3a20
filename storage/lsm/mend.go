package lsm

import (
	"io"

	"postrider/codec/dot"
	"postrider/storage"
)

// Versions before entryWireForm stored a line that came in DATA with a single dot before
// it as it came, and a body of BINARYMIME with whatever CR and LF it had. Sent as they
// are stored, such lines lose their dot at one reader and keep it at the next, or end the
// message before its end. So a body without the flag passes a dot.Mender while it is
// read. For lines the sizes in the entry stay right. A body of BINARYMIME may become some
// octets longer or shorter than LIST says: to be exact, its entry would have to be
// written again, and such bodies are few.
//
// Bodies are not rewritten: that would cost a pass over the whole store for what costs
// next to nothing while an old message is read, and old messages go in time.

// mending is a body on its way through a Mender.
type mending struct {
	m     dot.Mender
	buf   []byte
	left  []byte // the part of buf that was not returned yet
	ended bool
}

// nextMended returns the next piece of the body in wire form.
func (m *message) nextMended() ([]byte, error) {
	if m.mend == nil {
		m.mend = new(mending)
	}
	d := m.mend
	for len(d.left) == 0 {
		if d.ended {
			return nil, io.EOF
		}
		piece, err := m.nextChunk()
		switch {
		case err == nil:
			d.buf = d.m.Append(d.buf[:0], piece)
			m.Close()
		case err == io.EOF:
			d.buf, d.ended = d.m.End(d.buf[:0]), true
		default:
			return nil, err
		}
		d.left = d.buf
	}
	piece := d.left[:min(len(d.left), storage.MaxPiece)]
	d.left = d.left[len(piece):]
	return piece, nil
}
