package loop

import (
	"errors"
	"io"
)

// Layer is what a connection speaks through, once Conn.SetLayer has put it there:
// it turns what the handler writes into octets of the wire, and what the handler is
// to see of octets of the wire. The connection keeps all its promises above it:
// limits of reading count what the handler sees, and one octet more is read from
// the peer only when the layer has given all that it had.
//
// Its methods are called on the goroutine of the connection's loop. The octets
// that they return for the wire are borrowed until the next call of any layer of
// that loop, so layers of one loop may share a buffer.
type Layer interface {
	// Open takes all of wire, which came from the peer, and puts its plaintext into
	// plain, n octets. What finds no room there is kept, see Held, and so is a part
	// of a record. reply is what the layer itself has to send to the peer.
	//
	// io.EOF: the peer has ended its stream in order. Another error: the stream
	// can't be trusted from here on; the n octets before it can.
	Open(wire, plain []byte) (n int, reply []byte, err error)
	// Held reports whether Open may bring something without more from the wire.
	Held() bool
	// Seal returns p in the form for the wire.
	Seal(p []byte) (wire []byte, err error)
	// End returns the octets that tell the peer that nothing follows.
	End() (wire []byte)
	// Idle is called when the connection has been silent for a while: memory that
	// only traffic needs can be given back.
	Idle()
}

const (
	// sealStep bounds what one Seal gets, and with it the buffer of the layers.
	sealStep = 64 << 10
	// idleTicks is how long a connection is silent before its layer is told.
	idleTicks = 5
)

// layered is what a connection with a layer has beside the layer.
type layered struct {
	Layer
	active int64 // tick of the last traffic
	warm   bool  // in the loop's list of connections to tell Idle
	ended  bool  // io.EOF is still to be reported
}

// SetHandler has other callbacks from the next one on. It must be called in a
// callback or a task, and h's connection is this one for the rest of its life or
// until the next SetHandler.
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// SetLayer has the connection use a layer from now on, for all octets that are not
// written or presented yet. No input may be kept: octets from before the layer must
// not be read as octets that came through it.
func (c *Conn) SetLayer(layer Layer) {
	if c.phase != open {
		return
	}
	if c.kept.len() > 0 || c.layer != nil {
		panic("BUG: SetLayer over kept input or another layer")
	}
	c.layer = &layered{Layer: layer}
	c.traffic()
	c.touch()
}

// held reports whether the layer has something without more from the wire.
func (c *Conn) held() bool { return c.layer != nil && (c.layer.ended || c.layer.Held()) }

// traffic notes that the layer is in use.
func (c *Conn) traffic() {
	c.layer.active = c.loop.wheel.now
	if !c.layer.warm {
		c.layer.warm = true
		c.loop.warm = append(c.loop.warm, c)
	}
}

// writeSealed is Write through the layer.
func (c *Conn) writeSealed(p []byte) {
	c.traffic()
	for len(p) > 0 && c.phase == open {
		n := min(len(p), sealStep)
		wire, err := c.layer.Seal(p[:n])
		if err != nil {
			c.destroy(err)
			return
		}
		c.send(wire)
		p = p[n:]
	}
}

// unseal gives the layer what came from the wire, or nothing when it holds
// something, and presents what that brings after what was kept; with again, what
// was kept is presented in any case.
func (c *Conn) unseal(wire []byte, again bool) {
	c.traffic()
	l, plain := c.layer, c.loop.plainBuffer()
	kept, n := copy(plain, c.kept.octets()), 0
	var err error
	if !l.ended {
		var reply []byte
		room := plain[kept:]
		n, reply, err = l.Open(wire, room[:min(len(room), int(c.limit))])
		l.ended = errors.Is(err, io.EOF)
		c.send(reply)
	}
	if c.phase == open && (n > 0 || again && kept > 0) {
		c.kept.free(&c.loop.stock)
		c.input(plain[:kept+n])
	}
	switch {
	case c.phase != open:
	case l.ended && c.mayRead():
		l.ended = false
		c.eof = true
		c.ended()
	case err != nil && !l.ended:
		c.destroy(err)
	}
}

// plainBuffer is the buffer for the plaintext of layers, made for the first one.
func (l *Loop) plainBuffer() []byte {
	if l.plain == nil {
		l.plain = make([]byte, len(l.buf))
	}
	return l.plain
}

// cool tells the layers of connections that have been silent for a while.
func (l *Loop) cool() {
	if l.wheel.now < l.cooled+idleTicks {
		return
	}
	l.cooled = l.wheel.now
	warm := l.warm[:0]
	for _, c := range l.warm {
		switch {
		case c.layer == nil: // ended
		case l.wheel.now-c.layer.active < idleTicks:
			warm = append(warm, c)
		default:
			c.layer.warm = false
			c.layer.Idle()
		}
	}
	clear(l.warm[len(warm):])
	l.warm = warm
	if cap(warm) > 4*max(len(warm), maxStock) {
		l.warm = append([]*Conn(nil), warm...)
	}
}
