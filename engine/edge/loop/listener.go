package loop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// Keepalive of accepted connections: a peer that vanished is noticed after
// keepIdle + keepCount * keepInterval seconds, 6 minutes, deadline or not.
const (
	keepIdle     = 180
	keepInterval = 30
	keepCount    = 6
)

// Listener is a listening socket. All loops of the group watch it, so that an
// idle loop accepts first. Its methods may be called from any goroutine.
type Listener struct {
	group  *Group
	fd     int
	addr   netip.AddrPort
	terms  atomic.Pointer[terms]
	paused atomic.Bool
	loops  atomic.Int32 // that watch it, or are about to
}

// terms are what a connection is accepted with.
type terms struct {
	overload []byte
	open     func(c *Conn) Handler
}

// Listen binds addr and listens: "127.0.0.1:2525", "[::1]:0", ":25" for IPv6 and
// IPv4 (IPv4 alone where the kernel has no IPv6), "[::]:25" for IPv6 alone. Port 0
// picks a free one, see Addr.
//
// open is called on a loop for each connection and returns its handler; it may
// write a greeting. If it returns nil, what it wrote is sent and the connection
// closed. overload is the text for a client that is turned away because the
// process has no descriptor left for it; the listener keeps the slice.
func (g *Group) Listen(addr string, overload []byte, open func(c *Conn) Handler) (*Listener, error) {
	fd, err := bind(addr, g.cfg)
	if err != nil {
		return nil, fmt.Errorf("loop: can't listen on %s: %w", addr, err)
	}
	return g.listen(fd, overload, open)
}

// ListenFile takes over a listening TCP socket that another process has bound. It
// works on a duplicate: f stays the caller's.
func (g *Group) ListenFile(f *os.File, overload []byte, open func(c *Conn) Handler) (*Listener, error) {
	fd, err := dupListening(f)
	if err != nil {
		return nil, fmt.Errorf("loop: can't listen on inherited file %s: %w", f.Name(), err)
	}
	err = setInherited(fd, g.cfg.NotSentLowat)
	if err == nil && g.cfg.RecvBuffer > 0 {
		err = socket.SetRecvBuffer(fd, g.cfg.RecvBuffer)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("loop: inherited file %s: %w", f.Name(), err)
	}
	return g.listen(fd, overload, open)
}

func (g *Group) listen(fd int, overload []byte, open func(c *Conn) Handler) (*Listener, error) {
	lis := &Listener{group: g, fd: fd, addr: localAddr(fd)}
	lis.Configure(overload, open)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		lis.close()
		return nil, ErrStopped
	}
	g.listeners = append(g.listeners, lis)
	lis.loops.Store(int32(len(g.loops))) //nolint:gosec // a few
	for _, l := range g.loops {
		l.Post(&addListener{l, lis})
	}
	return lis, nil
}

// Configure replaces the overload text and what opens connections, for connections that are
// accepted from now on.
func (lis *Listener) Configure(overload []byte, open func(c *Conn) Handler) {
	lis.terms.Store(&terms{overload, open})
}

// Close ends accepting, soon: each loop accepts at most the connection that it is at. The
// connections that were accepted go on. Connections that wait in the kernel are reset, unless
// another descriptor of the socket is open.
func (lis *Listener) Close() {
	g := lis.group
	lis.paused.Store(true)
	g.mu.Lock()
	i := slices.Index(g.listeners, lis)
	if i >= 0 {
		g.listeners = slices.Delete(g.listeners, i, i+1)
	}
	stopped := g.stopped
	g.mu.Unlock()
	if i < 0 || stopped {
		return // it is closed, or Stop closes it
	}
	for _, l := range g.loops {
		if !l.Post(&removeListener{l, lis}) {
			lis.leave() // the loop has ended
		}
	}
}

// Addr returns the address that the listener is bound to.
func (lis *Listener) Addr() netip.AddrPort { return lis.addr }

// Accepting stops and resumes accepting. Connections that arrive meanwhile wait
// in the kernel, or go to another process that has the socket. When
// Accepting(false) returns, each loop accepts at most the one it is at.
func (lis *Listener) Accepting(yes bool) {
	lis.paused.Store(!yes)
	for _, l := range lis.group.loops {
		l.Post((*watchListeners)(l))
	}
}

// File returns a duplicate of the descriptor, to be handed to another process. It
// is non-blocking and must stay so: the two share that flag.
func (lis *Listener) File() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(lis.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), lis.addr.String()), nil
}

// leave closes the socket once no loop watches it.
func (lis *Listener) leave() {
	if lis.loops.Add(-1) == 0 {
		lis.close()
	}
}

func (lis *Listener) close() { _ = unix.Close(lis.fd) }

// Bind makes a listening socket as Group.Listen does, for ListenFile: of a process
// that may bind the address, to be used when it may not any more. Of cfg only what
// concerns sockets counts.
func Bind(addr string, cfg Config) (*os.File, error) {
	fd, err := bind(addr, cfg)
	if err != nil {
		return nil, err
	}
	// Blocking, or the poller of Go's runtime would watch it too, and wake for each
	// connection; ListenFile changes that.
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), addr), nil
}

// bind makes the socket. What connections inherit on Linux is set here, before
// listen: the receive buffer has to be known when the window scale is agreed.
func bind(addr string, cfg Config) (int, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return -1, err
	}
	opts := []socket.Option[int]{
		{SetSockOpt: socket.SetReuseAddr, Opt: 1},
		{SetSockOpt: setInherited, Opt: cfg.NotSentLowat},
	}
	if cfg.RecvBuffer > 0 {
		opts = append(opts, socket.Option[int]{SetSockOpt: socket.SetRecvBuffer, Opt: cfg.RecvBuffer})
	}
	if host != "" {
		fd, _, err := socket.TCPSocket("tcp", addr, true, opts, nil)
		return fd, err
	}
	dual := append(opts[:len(opts):len(opts)], socket.Option[int]{SetSockOpt: socket.SetIPv6Only, Opt: 0})
	fd, _, err := socket.TCPSocket("tcp", addr, true, dual, nil)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		fd, _, err = socket.TCPSocket("tcp", "0.0.0.0"+addr, true, opts, nil)
	}
	return fd, err
}

// setInherited sets what every connection gets from its listener.
func setInherited(fd, notSentLowat int) error {
	if err := socket.SetNoDelay(fd, 1); err != nil {
		return err
	}
	if err := socket.SetKeepAlive(fd, true, keepIdle, keepInterval, keepCount); err != nil {
		return err
	}
	if notSentLowat <= 0 {
		return nil
	}
	return os.NewSyscallError("setsockopt",
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat))
}

// dupListening checks that f is a listening TCP socket and duplicates it. It does
// not call f.Fd, which may set the socket, shared with us, to blocking mode.
func dupListening(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(s uintptr) { fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, os.NewSyscallError("fcntl", dupErr)); err != nil {
		return -1, err
	}
	if err = adopt(fd); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func adopt(fd int) error {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP || listening == 0 {
		return errors.New("not a listening TCP socket")
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// localAddr is getsockname; zero for no socket.
func localAddr(fd int) netip.AddrPort {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(sa)
}

// addrPort translates an address of the kernel; IPv4-mapped ones become IPv4.
func addrPort(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && ip.IsLinkLocalUnicast() {
			if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				ip = ip.WithZone(ifi.Name)
			}
		}
		return netip.AddrPortFrom(ip, uint16(sa.Port))
	}
	return netip.AddrPort{}
}
