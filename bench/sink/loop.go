package sink

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a session of either protocol.
type machine interface {
	Greet(now time.Time, out []byte) ([]byte, Step)
	Feed(now time.Time, in, out []byte) ([]byte, Step)
}

// loop is one event loop: an epoll descriptor, the sessions on it, and timers.
type loop struct {
	sink     *Sink
	begin    func(client string) machine
	epoll    int
	listener int
	wake     int // eventfd: the loop ends
	conns    map[int]*conn
	timers   timers
	in, out  []byte // scratch of the session at hand
}

// conn is a session and its socket.
type conn struct {
	fd      int
	session machine
	unread  []byte // input that the session hasn't taken
	unsent  []byte // replies that the socket hasn't taken, or that wait
	effect  Effect // to be done once unsent is sent
	delay   time.Duration
	more    bool // the session has more to send after unsent
	due     time.Time
	index   int    // in timers; -1: not there
	watched uint32 // events
}

const readSize = 256 << 10

// newLoop makes a loop on a listening socket, which several may share.
func newLoop(s *Sink, listener int, begin func(client string) machine) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{sink: s, begin: begin, epoll: epoll, listener: listener, wake: wake, conns: make(map[int]*conn), in: make([]byte, readSize)}
	err = errors.Join(l.watch(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN), l.watch(unix.EPOLL_CTL_ADD, listener, unix.EPOLLIN|unix.EPOLLEXCLUSIVE))
	if err != nil {
		unix.Close(epoll)
		unix.Close(wake)
	}
	return l, err
}

func (l *loop) watch(op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// run serves until stop wakes it.
func (l *loop) run() error {
	defer l.end()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, l.timers.wait(time.Now()))
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		now := time.Now()
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); fd {
			case l.wake:
				return nil
			case l.listener:
				l.accept(now)
			default:
				if c := l.conns[fd]; c != nil {
					l.ready(c, now, events[i].Events)
				}
			}
		}
		for c := l.timers.over(now); c != nil; c = l.timers.over(now) {
			l.flush(c, now)
		}
	}
}

func (l *loop) stop() { _, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (l *loop) end() {
	for fd := range l.conns {
		unix.Close(fd)
	}
	unix.Close(l.epoll)
	unix.Close(l.wake)
}

// accept takes what waits, some at a time: other loops are there too.
func (l *loop) accept(now time.Time) {
	for range 16 {
		fd, peer, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EMFILE || err == unix.ENFILE {
			time.Sleep(10 * time.Millisecond) // the next round tries again
		}
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		c := &conn{fd: fd, session: l.begin(addressOf(peer)), index: -1, watched: unix.EPOLLIN}
		if l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			unix.Close(fd)
			continue
		}
		l.conns[fd] = c
		var step Step
		l.out, step = c.session.Greet(now, l.out[:0])
		l.answer(c, now, step)
	}
}

func addressOf(peer unix.Sockaddr) string {
	switch p := peer.(type) {
	case *unix.SockaddrInet4:
		return net.IP(p.Addr[:]).String()
	case *unix.SockaddrInet6:
		return net.IP(p.Addr[:]).String()
	}
	return ""
}

// ready is called when a socket can be read or written, or is closed.
func (l *loop) ready(c *conn, now time.Time, events uint32) {
	if events&unix.EPOLLERR != 0 {
		l.close(c)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		l.flush(c, now)
		return
	}
	n, err := unix.Read(c.fd, l.in)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil || n == 0:
		l.close(c)
	case c.effect == Silence:
	default:
		l.feed(c, now, l.in[:n])
	}
}

// feed gives input to the session, as long as it takes any or has more to say.
func (l *loop) feed(c *conn, now time.Time, in []byte) {
	for {
		if len(c.unread) > 0 {
			c.unread = append(c.unread, in...)
			in = c.unread
		}
		var step Step
		l.out, step = c.session.Feed(now, in, l.out[:0])
		c.unread = append(c.unread[:0], in[step.Consumed:]...)
		l.answer(c, now, step)
		if !step.More || !l.free(c) {
			return
		}
		in = nil
	}
}

// free reports whether the session has nothing to send and does not wait.
func (l *loop) free(c *conn) bool {
	return l.conns[c.fd] == c && c.effect == None && len(c.unsent) == 0 && c.index < 0
}

// answer writes l.out now or later, and does what the step asks for.
func (l *loop) answer(c *conn, now time.Time, step Step) {
	c.effect, c.delay, c.more = step.Effect, step.Delay, step.More
	if step.Wait > 0 {
		c.unsent = append(c.unsent[:0], l.out...)
		c.due = now.Add(step.Wait)
		l.timers.add(c)
		l.interest(c, 0) // nothing is read before it is answered
		return
	}
	if len(l.out) > 0 {
		n, err := unix.Write(c.fd, l.out)
		if err != nil && err != unix.EAGAIN {
			l.close(c)
			return
		}
		if n = max(n, 0); n < len(l.out) {
			c.unsent = append(c.unsent[:0], l.out[n:]...)
			l.interest(c, unix.EPOLLOUT)
			return
		}
	}
	l.finish(c)
}

// flush writes what was left over, and goes on.
func (l *loop) flush(c *conn, now time.Time) {
	if len(c.unsent) > 0 {
		n, err := unix.Write(c.fd, c.unsent)
		if err != nil && err != unix.EAGAIN {
			l.close(c)
			return
		}
		c.unsent = c.unsent[:copy(c.unsent, c.unsent[max(n, 0):])]
		if len(c.unsent) > 0 {
			l.interest(c, unix.EPOLLOUT)
			return
		}
	}
	l.interest(c, unix.EPOLLIN)
	l.finish(c)
	// The session may have stopped before the end of its input.
	if l.free(c) && (c.more || len(c.unread) > 0) {
		rest := c.unread
		c.unread = nil
		l.feed(c, now, rest)
	}
}

// finish does the effect, once all replies are written.
func (l *loop) finish(c *conn) {
	switch c.effect {
	case Close:
		l.close(c)
	case Reset:
		_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		l.close(c)
	case StartTLS:
		l.handOver(c)
	}
}

func (l *loop) interest(c *conn, events uint32) {
	if c.watched != events {
		c.watched = events
		_ = l.watch(unix.EPOLL_CTL_MOD, c.fd, events)
	}
}

func (l *loop) close(c *conn) {
	l.timers.remove(c)
	delete(l.conns, c.fd)
	unix.Close(c.fd)
}

// handOver gives a session that turns to TLS to a goroutine.
func (l *loop) handOver(c *conn) {
	delete(l.conns, c.fd)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	file := os.NewFile(uintptr(c.fd), "session")
	wire, err := net.FileConn(file) // a copy of the descriptor
	file.Close()
	if err == nil {
		go l.sink.serveTLS(wire, c.session, c.delay)
	}
}

// timers is a heap of the sessions that wait.
type timers []*conn

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push is for container/heap.
func (t *timers) Push(x any) {
	c := x.(*conn)
	c.index = len(*t)
	*t = append(*t, c)
}

// Pop is for container/heap.
func (t *timers) Pop() any {
	last := len(*t) - 1
	c := (*t)[last]
	*t = (*t)[:last]
	c.index = -1
	return c
}

func (t *timers) add(c *conn) { heap.Push(t, c) }

func (t *timers) remove(c *conn) {
	if c.index >= 0 {
		heap.Remove(t, c.index)
	}
}

// over takes a session that has waited long enough, or nil.
func (t *timers) over(now time.Time) *conn {
	if len(*t) == 0 || (*t)[0].due.After(now) {
		return nil
	}
	return heap.Pop(t).(*conn)
}

// wait is the time to the first timer in milliseconds, for epoll_wait.
func (t timers) wait(now time.Time) int {
	if len(t) == 0 {
		return -1
	}
	return int(min(max(0, (t[0].due.Sub(now)+time.Millisecond-1)/time.Millisecond), 1<<30))
}

// Listen opens a socket for [Sink.Serve].
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// Serve takes SMTP sessions on ln with so many loops until ctx ends, and closes ln.
func (s *Sink) Serve(ctx context.Context, ln *net.TCPListener, loops int) error {
	return s.serve(ctx, ln, loops, func(client string) machine { return s.Session(client) })
}

// ServePOP3 is Serve for POP3.
func (s *Sink) ServePOP3(ctx context.Context, ln *net.TCPListener, loops int) error {
	return s.serve(ctx, ln, loops, func(client string) machine { return s.POP3Session(client) })
}

func (s *Sink) serve(ctx context.Context, ln *net.TCPListener, loops int, begin func(client string) machine) error {
	defer ln.Close()
	file, err := ln.File()
	if err != nil {
		return err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("the listening socket: %w", err)
	}
	all := make([]*loop, 0, loops)
	over := make(chan error, loops)
	for range loops {
		l, err := newLoop(s, fd, begin)
		if err != nil {
			return err
		}
		all = append(all, l)
		go func() { over <- l.run() }()
	}
	var errs []error
	select {
	case <-ctx.Done():
	case err := <-over:
		errs = append(errs, err)
		loops--
	}
	for _, l := range all {
		l.stop()
	}
	for range loops {
		errs = append(errs, <-over)
	}
	return errors.Join(errs...)
}
