package loop

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection. It belongs to one loop for its life, and its methods may
// be called on that loop's goroutine only: in a callback of any handler of the
// loop, or in a Task posted to it. A Conn that has ended stays valid: its methods
// do nothing, so a late completion needs no care but Alive.
type Conn struct {
	loop    *Loop
	handler Handler
	timer   timer
	remote  netip.AddrPort
	kept    backlog  // input the handler left
	out     backlog  // output the kernel has not taken
	layer   *layered // what it speaks through; nil: nothing
	err     error    // for Closed
	taken   int64    // output that the kernel has taken; after Close: since the last look at it
	fd      int32    // -1: closed
	limit   int32    // the most that one read takes

	phase       phase
	armed       interest // what the poller watches
	paused      bool     // by Pause
	eof         bool     // the peer sent FIN
	wantDrained bool     // Drained is owed
	again       bool     // kept input is to be presented again
	expired     bool     // Timeout is owed
	queued      bool     // in the loop's list of connections to serve
}

// phase is where a connection is in its life. It only goes up.
type phase uint8

const (
	open      phase = iota
	flushing        // Close was called, output is pending
	lingering       // SHUT_WR is sent, waiting for the peer's FIN
	dead            // the descriptor is closed, Closed is owed
	gone            // Closed was called
)

// Loop returns the loop that the connection belongs to.
func (c *Conn) Loop() *Loop { return c.loop }

// Alive reports whether the handler may still do something with the connection:
// false after Close and Abort and when it has failed, even if Closed is still to
// come.
func (c *Conn) Alive() bool { return c.phase == open }

// RemoteAddr returns the peer's address; IPv4 addresses are plain ones, on dual
// stack listeners too.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// Write sends p, through the layer if there is one: by one write(2) at once if nothing is pending; what the kernel
// does not take is copied and sent when it can be. p may be used again when Write
// returns. What is pending has no limit but the caller's: large output is written
// in pieces, each when Drained says that the last is gone.
//
// A failure ends the connection: Alive is false then, and Closed follows after
// the callback. After the end, and after Close, Write does nothing.
func (c *Conn) Write(p []byte) {
	if c.layer != nil {
		c.writeSealed(p)
		return
	}
	c.send(p)
}

// send is Write below the layer.
func (c *Conn) send(p []byte) {
	if c.phase != open || len(p) == 0 {
		return
	}
	if c.Pending() == 0 {
		n, err := writeSome(int(c.fd), p)
		if err != nil {
			c.destroy(err)
			return
		}
		c.taken += int64(n)
		p = p[n:]
	}
	if len(p) > 0 {
		c.out.add(&c.loop.stock, p)
		c.touch()
	}
}

// Pending returns the octets written but not yet taken by the kernel, as they go
// on the wire.
func (c *Conn) Pending() int { return c.out.len() }

// Taken returns the octets of output that the kernel has taken since the connection began,
// as they go on the wire. With Pending they are all that was written, until Close.
func (c *Conn) Taken() int64 { return c.taken }

// WantDrained asks for one call of Handler.Drained, when no output is pending in
// user space and the socket takes more: at the next turn of the loop at the
// earliest, never from inside WantDrained.
func (c *Conn) WantDrained() {
	c.wantDrained = true
	c.touch()
}

// Pause stops reading: the poller no longer watches the connection for input, and
// TCP's window closes when the kernel's buffer is full. Neither Input nor EOF is
// called before Resume, and a peer that went away is noticed by a Write, by
// Resume or by the deadline.
func (c *Conn) Pause() {
	c.paused = true
	c.touch()
}

// Resume ends Pause. If input was kept, it is presented to Handler.Input again,
// even if nothing new arrives: not from inside Resume but by the loop. Resume in
// Input, without a Pause, is the way to yield: the rest is presented at the loop's
// next turn, after other connections had theirs.
func (c *Conn) Resume() {
	c.paused = false
	c.again = true
	c.touch()
}

// SetReadLimit bounds each read(2) from now on to n octets; 0: nothing is read
// until the limit is raised; negative: no limit but Config.ReadBuffer. It is how
// octets are paid for before they are read. Kept input is not affected. With a layer
// it bounds each read, and also the plaintext that the layer returns for it.
func (c *Conn) SetReadLimit(n int) {
	if n < 0 || n > len(c.loop.buf) {
		n = len(c.loop.buf)
	}
	c.limit = int32(n)
	c.touch()
}

// Kept returns the octets of input that the handler left in the connection; in
// Input, which has them in its argument, it is 0. If they fill the read buffer, no
// more is read before the handler takes some.
func (c *Conn) Kept() int { return c.kept.len() }

// SetDeadline has Handler.Timeout called once when after has passed, up to two
// seconds late; it replaces an earlier deadline. 0 clears it. It is cheap enough
// for every turn of a dialogue.
func (c *Conn) SetDeadline(after time.Duration) {
	if c.phase != open {
		return
	}
	c.expired = false
	if after <= 0 {
		c.loop.wheel.clear(c)
		return
	}
	c.setTimer(after)
}

// setTimer rounds up to whole ticks.
func (c *Conn) setTimer(after time.Duration) {
	c.loop.wheel.set(c, int64((after+time.Second-1)/time.Second))
}

// Close ends the connection in order: pending output is sent, for as long as the
// peer takes 16 KiB of it or the rest in each Config.Stall; then comes FIN, and what the peer still
// sends is read and dropped until its FIN or for Config.Linger, so that no RST
// overtakes the last reply. Kept input is dropped. Handler.Closed is the only
// callback that follows.
func (c *Conn) Close() {
	if c.layer != nil {
		c.send(c.layer.End())
		c.layer = nil
	}
	if c.phase != open {
		return
	}
	c.phase = flushing
	c.taken = 0
	c.expired = false
	c.kept.free(&c.loop.stock)
	c.setTimer(c.loop.group.cfg.Stall)
	c.flushed()
	c.touch()
}

// Part is Close for a peer that has ended its session: the connection is closed at once,
// without a wait for the peer's FIN, which spares three system calls. If the peer sends
// something all the same, a reset may overtake the last reply. With a layer, and while
// input or output is pending, it is Close.
func (c *Conn) Part() {
	if c.layer == nil && c.Kept() == 0 && c.Pending() == 0 {
		c.destroy(nil)
		return
	}
	c.Close()
}

// Abort ends the connection at once: pending output is dropped, what the kernel
// has taken may still arrive. Handler.Closed follows after the callback.
func (c *Conn) Abort() { c.destroy(nil) }

// flushed lets a closing connection whose output is sent go on to linger, and to
// its end if the peer has closed too.
func (c *Conn) flushed() {
	if c.phase != flushing || c.Pending() > 0 {
		return
	}
	if c.eof {
		c.destroy(nil)
		return
	}
	c.phase = lingering
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
		c.destroy(err)
		return
	}
	if !c.loop.group.mayLinger() {
		c.destroy(nil)
		return
	}
	c.setTimer(c.loop.group.cfg.Linger)
}

// destroy closes the descriptor. Closed is called by the loop, outside callbacks.
func (c *Conn) destroy(err error) {
	if c.phase >= dead {
		return
	}
	c.phase = dead
	c.err = err
	c.loop.forget(c)
	_ = unix.Close(int(c.fd))
	c.fd = -1
	c.layer = nil
	c.kept.free(&c.loop.stock)
	c.out.free(&c.loop.stock)
	c.touch()
}

// touch has the loop serve the connection when the callback or task that runs now
// has returned. It is called whenever something has changed that serve acts on.
func (c *Conn) touch() {
	if !c.queued && c.phase != gone {
		c.queued = true
		c.loop.touched = append(c.loop.touched, c)
	}
}
