package loop

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
)

// interest is what the poller watches a connection for.
type interest uint8

const (
	wantRead interest = 1 << iota
	wantWrite
)

// mayRead reports whether the handler would take something new now.
func (c *Conn) mayRead() bool {
	return !c.paused && !c.eof && c.limit > 0 && c.kept.len() < len(c.loop.buf)
}

// want returns the events that the connection is to be watched for. Only want
// decides it; everything else changes a field and calls touch.
func (c *Conn) want() (w interest) {
	switch c.phase {
	case open:
		if c.mayRead() && !c.held() {
			w |= wantRead
		}
		if c.Pending() > 0 || c.wantDrained {
			w |= wantWrite
		}
	case flushing: // reading too: a peer that sends before it reads must not block us
		w = wantWrite
		if !c.eof {
			w |= wantRead
		}
	case lingering:
		w = wantRead
	}
	return w
}

// arm brings the poller in line with want. The poller has no change to
// write-only, so that one is a removal and an addition.
func (c *Conn) arm() {
	want := c.want()
	if c.phase >= dead || want == c.armed {
		return
	}
	poller, fd := c.loop.poller, int(c.fd)
	at := &netpoll.PollAttachment{FD: fd}
	had := c.armed
	c.armed = want
	var err error
	switch {
	case want == 0:
		err = poller.Delete(fd)
	case had == 0 && want == wantRead:
		err = poller.AddRead(at, false)
	case had == 0 && want == wantWrite:
		err = poller.AddWrite(at, false)
	case had == 0:
		err = poller.AddReadWrite(at, false)
	case want == wantRead:
		err = poller.ModRead(at, false)
	case want == wantRead|wantWrite:
		err = poller.ModReadWrite(at, false)
	default:
		if err = poller.Delete(fd); err == nil {
			err = poller.AddWrite(at, false)
		}
	}
	if err != nil { // ENOMEM, or fs.epoll.max_user_watches
		c.destroy(err)
	}
}
