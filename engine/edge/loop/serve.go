package loop

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	readable = unix.EPOLLIN | unix.EPOLLPRI
	writable = unix.EPOLLOUT
	broken   = unix.EPOLLERR | unix.EPOLLHUP

	// maxFlush bounds what one connection writes in a turn, in octets.
	maxFlush = 256 << 10
)

// serve does all that is due on a connection: for the poller's events, or with
// none for what callbacks and tasks have asked for. Events are hints: one may be
// left of an earlier connection with the same descriptor number, so each system
// call may find nothing to do, and none is made that this connection does not
// want.
func (l *Loop) serve(c *Conn, events uint32) {
	queued := c.queued
	c.queued = true // what it asks for itself is done here
	if c.phase < dead {
		l.handle(c, events)
		c.arm()
	}
	if c.phase == dead {
		l.closed(c)
	}
	c.queued = queued
	if c.again && c.phase == open && !queued {
		c.queued = true
		l.later = append(l.later, c)
	}
}

// handle calls the handler for what is due, at most one callback of a kind.
func (l *Loop) handle(c *Conn, events uint32) {
	defer l.rescue(c)
	if c.expired {
		c.expired = false
		c.timeout()
	}
	again := c.again
	c.again = false
	switch {
	case c.phase != open:
	case c.held() && c.mayRead():
		c.unseal(nil, again)
	case again && !c.paused && c.kept.len() > 0:
		c.inputKept()
	}
	if events&(readable|broken) != 0 && c.want()&wantRead != 0 {
		c.read() // first: what came before a reset is presented
	}
	if events&(writable|broken) != 0 {
		c.writable()
	}
	if c.phase == open && c.held() && c.mayRead() {
		c.again = true
	}
}

// rescue makes a panic in a callback the end of its connection only.
func (l *Loop) rescue(c *Conn) {
	if r := recover(); r != nil {
		l.log.Error("a handler panicked; its connection is closed",
			"peer", c.remote, "panic", r, "stack", string(debug.Stack()))
		c.destroy(fmt.Errorf("loop: panic in a handler: %v", r))
	}
}

// closed makes the last callback.
func (l *Loop) closed(c *Conn) {
	c.phase = gone
	l.open.Add(-1)
	if c.handler == nil {
		return
	}
	defer l.rescue(c)
	c.handler.Closed(c, c.err)
}

func (c *Conn) timeout() {
	switch c.phase {
	case open:
		c.handler.Timeout(c)
	case flushing:
		c.stalled()
	case lingering:
		c.destroy(nil)
	}
}

// minTaken is how many octets of pending output a peer has to take in each Config.Stall
// after Close.
const minTaken = 16 << 10

// stalled cuts a peer that takes its output too slowly. A single octet must not renew the
// time, so what was taken is looked at when the time is over.
func (c *Conn) stalled() {
	if c.taken < minTaken {
		c.destroy(ErrStalled)
		return
	}
	c.taken = 0
	c.setTimer(c.loop.group.cfg.Stall)
}

// read takes what the peer sent, once: after what was kept, so that the handler
// sees one run of octets.
func (c *Conn) read() {
	buf := c.loop.buf
	kept := 0
	if c.layer == nil {
		kept = copy(buf, c.kept.octets())
	}
	space := buf[kept:]
	if c.phase == open {
		space = space[:min(len(space), int(c.limit))]
	}
	n, err := unix.Read(int(c.fd), space)
	switch {
	case n > 0 && c.layer != nil:
		c.unseal(buf[:n], false)
	case n > 0 && c.phase == open:
		c.kept.free(&c.loop.stock)
		c.input(buf[:kept+n])
	case n > 0: // closing: dropped
	case n == 0 && err == nil:
		c.eof = true
		c.ended()
	case err != unix.EAGAIN && err != unix.EINTR:
		c.destroy(err)
	}
}

// ended acts on the peer's FIN.
func (c *Conn) ended() {
	switch c.phase {
	case open:
		c.handler.EOF(c)
	case lingering:
		c.destroy(nil)
	}
}

// input presents the read buffer and keeps what the handler leaves.
func (c *Conn) input(in []byte) {
	n := c.present(in)
	if c.phase == open {
		c.kept.add(&c.loop.stock, in[n:])
	}
}

// inputKept presents what was kept. It is not in the connection meanwhile: if the
// handler closes the connection, the buffer must not find a new user before the
// handler has returned.
func (c *Conn) inputKept() {
	kept := c.kept
	c.kept = backlog{}
	n := c.present(kept.octets())
	if c.phase != open {
		n = kept.len()
	}
	kept.drop(&c.loop.stock, n)
	c.kept = kept
}

func (c *Conn) present(in []byte) int {
	n := c.handler.Input(c, in)
	if c.phase == open && (n < 0 || n > len(in)) {
		panic(fmt.Sprintf("BUG: Input consumed %d of %d octets", n, len(in)))
	}
	return n
}

// writable sends what is pending and tells the handler when nothing is.
func (c *Conn) writable() {
	if c.phase != open && c.phase != flushing {
		return
	}
	if c.Pending() > 0 && !c.flush() {
		return
	}
	if c.wantDrained && c.phase == open {
		c.wantDrained = false
		c.handler.Drained(c)
	}
}

// flush writes once and reports whether nothing is pending any more.
func (c *Conn) flush() bool {
	n, err := writeSome(int(c.fd), c.out.octets()[:min(c.Pending(), maxFlush)])
	if err != nil {
		c.destroy(err)
		return false
	}
	c.taken += int64(n)
	c.out.drop(&c.loop.stock, n)
	if c.Pending() > 0 {
		return false
	}
	c.flushed()
	return true
}

// writeSome is write(2), but a full socket is not an error.
func writeSome(fd int, p []byte) (int, error) {
	n, err := unix.Write(fd, p)
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, nil
	}
	return max(n, 0), err
}
