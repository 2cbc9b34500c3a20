package loop

import (
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

const (
	// maxAccept bounds the connections accepted in a turn, so that other loops
	// get their share of a burst and the connections of this one are served.
	maxAccept = 8
	// maxRefuse bounds the clients turned away in a turn for want of descriptors.
	maxRefuse = 64
	// acceptRest is how long a loop leaves its listeners alone after a failure.
	acceptRest = 50 * time.Millisecond
	// warnEvery is the ticks between two warnings of a loop that it can't accept.
	warnEvery = 10
)

// watched is a listener as one loop sees it.
type watched struct {
	lis   *Listener
	armed bool // watched by the loop's poller
}

// addListener is the task that shows a loop a new listener.
type addListener struct {
	loop *Loop
	lis  *Listener
}

// Run is called on the loop's goroutine.
func (t *addListener) Run() {
	t.loop.listeners = append(t.loop.listeners, watched{lis: t.lis})
	t.loop.watchListeners()
}

// removeListener is the task that has a loop forget a listener. The last loop closes it.
type removeListener struct {
	loop *Loop
	lis  *Listener
}

// Run is called on the loop's goroutine.
func (t *removeListener) Run() {
	l := t.loop
	l.watchListeners() // it is paused
	l.listeners = slices.DeleteFunc(l.listeners, func(d watched) bool { return d.lis == t.lis })
	t.lis.leave()
}

// watchListeners is the task that brings the poller in line with Listener.Accepting.
type watchListeners Loop

// Run is called on the loop's goroutine.
func (t *watchListeners) Run() { (*Loop)(t).watchListeners() }

// endRest is the task that ends a loop's rest after a failure to accept.
type endRest Loop

// Run is called on the loop's goroutine.
func (t *endRest) Run() {
	t.resting = false
	(*Loop)(t).watchListeners()
}

// watchListeners watches the listeners that may accept, and no others.
func (l *Loop) watchListeners() {
	for i := range l.listeners {
		d := &l.listeners[i]
		want := !l.resting && !d.lis.paused.Load()
		if want == d.armed {
			continue
		}
		d.armed = want
		var err error
		if want {
			err = l.poller.AddRead(&netpoll.PollAttachment{FD: d.lis.fd}, false)
		} else {
			err = l.poller.Delete(d.lis.fd)
		}
		if err != nil {
			l.log.Error("cannot change whether an event loop accepts connections", "listener", d.lis.addr, "error", err)
		}
	}
}

// accept takes new connections from the listener with descriptor fd, if there is
// one.
func (l *Loop) accept(fd int) {
	for _, d := range l.listeners {
		if d.lis.fd == fd {
			l.acceptFrom(d.lis)
			return
		}
	}
}

func (l *Loop) acceptFrom(lis *Listener) {
	for range maxAccept {
		if lis.paused.Load() || l.resting {
			return
		}
		l.group.reserves.RLock()
		fd, sa, err := accept(lis.fd)
		l.group.reserves.RUnlock()
		switch err {
		case nil:
			if l.group.isFull() {
				turnAway(fd, lis)
				l.refused++
				l.warn("too many connections are open or about to end; new clients are turned away", lis, nil)
				continue
			}
			l.begin(fd, sa, lis)
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED:
		default:
			l.acceptFailed(lis, err)
			return
		}
	}
}

// accept is accept4(2). Package unix asks the kernel for the protocol besides, with
// another system call.
func accept(fd int) (int, syscall.Sockaddr, error) {
	return syscall.Accept4(fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
}

// begin makes a connection of an accepted descriptor.
func (l *Loop) begin(fd int, sa syscall.Sockaddr, lis *Listener) {
	c := &Conn{loop: l, fd: int32(fd), remote: addrPort(sa), limit: int32(len(l.buf))}
	for fd >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	l.open.Add(1)
	l.greet(c, lis)
	l.serve(c, 0)
}

func (l *Loop) greet(c *Conn, lis *Listener) {
	defer l.rescue(c)
	if c.handler = lis.terms.Load().open(c); c.handler == nil {
		c.Close()
	}
}

// acceptFailed turns away the clients that it can and has the loop leave its listeners alone
// for a while: a level-triggered listener would report the same client again at
// once. What failed for lack of descriptors or memory works when some are free again.
func (l *Loop) acceptFailed(lis *Listener, err error) {
	if err == unix.EMFILE || err == unix.ENFILE {
		l.refused += l.refuse(lis)
	}
	l.warn("can't accept; new clients wait or are turned away (EMFILE: raise the limit of open files)", lis, os.NewSyscallError("accept", err))
	l.resting = true
	l.watchListeners()
	time.AfterFunc(acceptRest, func() { l.Post((*endRest)(l)) })
}

// warn logs, now and then, that clients are turned away.
func (l *Loop) warn(text string, lis *Listener, err error) {
	if l.warned == 0 || l.wheel.now >= l.warned+warnEvery {
		l.log.Warn(text, "listener", lis.addr, "error", err, "refused", l.refused)
		l.warned, l.refused = l.wheel.now+1, 0
	}
}

// turnAway tells a client that it is not served, and closes.
func turnAway(fd int, lis *Listener) {
	_, _ = unix.Write(fd, lis.terms.Load().overload)
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	_ = unix.Close(fd)
}

// refuse gives up the reserve descriptor to accept waiting clients, one after
// another, and tell them why they are not served. No other loop accepts meanwhile:
// it would take the descriptor given up for a client of its own, and with all
// reserves gone that way the waiting clients would get no reply.
func (l *Loop) refuse(lis *Listener) (refused int) {
	l.group.reserves.Lock()
	defer l.group.reserves.Unlock()
	for range maxRefuse {
		if l.reserve < 0 && l.openReserve() != nil {
			return refused
		}
		_ = unix.Close(l.reserve)
		l.reserve = -1
		fd, _, err := accept(lis.fd)
		if err != nil {
			break
		}
		turnAway(fd, lis)
		refused++
	}
	_ = l.openReserve() // or the next failure tries again
	return refused
}

func (l *Loop) openReserve() (err error) {
	l.reserve, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return os.NewSyscallError("open /dev/null", err)
}
