package loop

import (
	"encoding/binary"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// Loop is one event loop: a goroutine with a poller, a read buffer, a timer wheel
// and the connections that it accepted. Only Post may be called from elsewhere.
type Loop struct {
	group   *Group
	log     *slog.Logger
	poller  *netpoll.Poller
	mailbox mailbox
	open    atomic.Int64 // connections whose Closed is to come

	// Used by the loop's goroutine only:
	conns     []*Conn // by descriptor
	listeners []watched
	buf       []byte
	plain     []byte  // plaintext of layers; nil before the first one
	warm      []*Conn // with a layer that was in use since the last cool
	cooled    int64   // tick of it
	wheel     wheel
	timerfd   int
	reserve   int // a descriptor to give up when there are no more; -1: lost
	stock     stock
	resting   bool    // accepting failed; the listeners are not watched for a while
	warned    int64   // tick of the last warning about it; 0: none yet
	refused   int     // clients turned away since
	touched   []*Conn // to be served when the running event is done
	later     []*Conn // to be served at the next turn
	woken     bool    // the eventfd is written for later
	stop      bool
}

func newLoop(g *Group) (*Loop, error) {
	l := &Loop{group: g, log: g.cfg.Log, timerfd: -1, reserve: -1, buf: make([]byte, g.cfg.ReadBuffer)}
	l.mailbox.eventfd = -1
	if err := l.openDescriptors(); err != nil {
		l.closeDescriptors()
		return nil, err
	}
	return l, nil
}

func (l *Loop) openDescriptors() (err error) {
	if l.poller, err = netpoll.OpenPoller(); err != nil {
		return err
	}
	if l.mailbox.eventfd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err = l.poller.AddRead(&netpoll.PollAttachment{FD: l.mailbox.eventfd}, true); err != nil {
		return err
	}
	if l.timerfd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	second := unix.Timespec{Sec: 1}
	if err = unix.TimerfdSettime(l.timerfd, 0, &unix.ItimerSpec{Interval: second, Value: second}, nil); err != nil {
		return os.NewSyscallError("timerfd_settime", err)
	}
	if err = l.poller.AddRead(&netpoll.PollAttachment{FD: l.timerfd}, false); err != nil {
		return err
	}
	return l.openReserve()
}

func (l *Loop) closeDescriptors() {
	for _, fd := range []int{l.timerfd, l.mailbox.eventfd, l.reserve} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	if l.poller != nil {
		_ = l.poller.Close()
	}
}

// Post has t run on the loop's goroutine and never blocks. Tasks of one goroutine
// run in the order in which it posted them. It may be called from any goroutine,
// the loop's own included; a task that posts itself again yields to the
// connections.
//
// Post reports whether t will run: it is false once the loop has ended. A task
// for which it was true is run exactly once, at the loop's end if not before; then
// all connections are closed and Alive is false. When Post returns false, Closed of each
// handler has returned: what the handlers had is the caller's then.
func (l *Loop) Post(t Task) bool { return l.mailbox.post(t) }

// run is the loop's goroutine.
func (l *Loop) run() {
	if err := l.poller.Polling(l.event); err != nil && !l.stop {
		l.log.Error("FATAL: an event loop has failed; its connections are closed", "error", err)
	}
	l.end()
}

// stop is the task that ends a loop.
type stop Loop

// Run is called on the loop's goroutine.
func (s *stop) Run() { s.stop = true }

// event is called by the poller for each descriptor that is ready.
func (l *Loop) event(fd int, events netpoll.IOEvent, _ netpoll.IOFlags) error {
	switch {
	case fd < len(l.conns) && l.conns[fd] != nil:
		l.serve(l.conns[fd], events)
	case fd == l.mailbox.eventfd:
		l.turn()
	case fd == l.timerfd:
		l.tick()
	default:
		l.accept(fd)
	}
	l.settle()
	if l.stop {
		return gneterrors.ErrEngineShutdown
	}
	return nil
}

// turn runs what was posted, within bounds, and takes up what was put off.
func (l *Loop) turn() {
	l.woken = false
	l.touched = append(l.touched, l.later...)
	clear(l.later)
	l.later = l.later[:0]
	for range maxTasks {
		t := l.mailbox.take()
		if t == nil {
			return
		}
		l.runTask(t)
	}
	if l.mailbox.rest() {
		l.mailbox.wake()
	}
}

func (l *Loop) runTask(t Task) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("a task panicked", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	t.Run()
}

// tick moves the wheel by the seconds that have passed.
func (l *Loop) tick() {
	var seconds [8]byte
	if n, err := unix.Read(l.timerfd, seconds[:]); n != len(seconds) || err != nil {
		return
	}
	l.wheel.advance(l.wheel.now+int64(binary.NativeEndian.Uint64(seconds[:])), expire)
	l.cool()
}

func expire(c *Conn) {
	c.expired = true
	c.touch()
}

// settle serves the connections that callbacks and tasks have touched, each once.
// What wants more waits for the next turn, after other connections' events.
func (l *Loop) settle() {
	if len(l.touched) == 0 && len(l.later) == 0 {
		return
	}
	n := len(l.touched)
	for i := range n {
		c := l.touched[i]
		c.queued = false
		l.serve(c, 0)
	}
	l.later = append(l.later, l.touched[n:]...) // touched by these
	clear(l.touched)
	l.touched = l.touched[:0]
	if len(l.later) > 0 && !l.woken {
		l.woken = true
		l.mailbox.wake()
	}
}

// forget removes a connection from the loop, before its descriptor is closed. The poller
// forgets the descriptor by itself.
func (l *Loop) forget(c *Conn) {
	l.conns[c.fd] = nil
	l.wheel.remove(c)
}

// end closes what the loop has, and runs the tasks that are left. None can be
// added any more, so this has an end.
func (l *Loop) end() {
	for _, c := range l.conns {
		switch {
		case c == nil:
		case c.phase == lingering:
			c.destroy(nil)
		default:
			c.destroy(ErrStopped)
		}
	}
	l.settleAll() // each Closed before Post returns false
	l.mailbox.end()
	for t := l.mailbox.take(); t != nil; t = l.mailbox.take() {
		l.runTask(t)
	}
	l.settleAll()
	l.closeDescriptors()
}

// settleAll is settle until nothing is touched any more.
func (l *Loop) settleAll() {
	for len(l.touched) > 0 || len(l.later) > 0 {
		l.touched = append(l.touched, l.later...)
		l.later = l.later[:0]
		l.settle()
	}
}
