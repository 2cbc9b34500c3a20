package server

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/edge/privilege"
)

// A front is a kind of address that the event loops listen on. A package of the wing front
// joins the server by a line in fronts: its sockets are bound before the process gives up
// the right to, its addresses are in the ready line, and its sessions end with the server.
type front struct {
	name string // as in config.Listeners: of sockets that are handed over, and in the ready line
	// open returns what opens the connections of one of the front's addresses, by its index.
	// overload is what a connection reads that the loops have no room for; nil: nothing,
	// where TLS comes first.
	open func(srv *Server, i int) (open conn.Opener, overload []byte)
	// addrs are the addresses of a front that has no key in the configuration.
	addrs []string
}

// fronts are all of them, in the order of the ready line.
var fronts = []front{
	{name: conn.SMTP.String(), open: openSMTP},
	{name: conn.SMTPS.String(), open: openSMTPS},
	{name: conn.Submission.String(), open: openSubmission},
	{name: conn.Submissions.String(), open: openSubmissions},
	{name: conn.POP3.String(), open: openPOP3},
	{name: conn.POP3S.String(), open: openPOP3S},
}

// Listeners are all addresses that a server with this configuration listens on, with the
// addresses of HTTP.
func Listeners(cfg *config.Config) []config.Listeners {
	all := cfg.Listeners()
	for _, f := range fronts {
		if len(f.addrs) > 0 {
			all = append(all, f.fixed())
		}
	}
	return all
}

// fixed are the addresses of a front without a key.
func (f *front) fixed() config.Listeners {
	return config.Listeners{Name: f.name, Key: f.name, Addrs: f.addrs, Set: func([]string) {}}
}

// Sockets binds the addresses of cfg, or takes the sockets that are held, before the process
// gives up the right to.
func Sockets(cfg *config.Config, held *privilege.Held) (*privilege.Sockets, error) {
	return privilege.Bind(listenersOf(cfg), held, kernel)
}

// TrySockets reports whether a process that gets the sockets that are listed could bind the
// other addresses of cfg.
func TrySockets(cfg *config.Config, listed string) error {
	return privilege.Try(listenersOf(cfg), listed, kernel)
}

func listenersOf(cfg *config.Config) (all []privilege.Listeners) {
	for _, l := range Listeners(cfg) {
		all = append(all, privilege.Listeners(l))
	}
	return all
}

// listen listens on all addresses of a configuration.
func (srv *Server) listen(cfg *config.Config) error {
	addresses := Listeners(cfg)
	var all []Listening
	for _, f := range fronts {
		joined, err := srv.join(f, addresses[slices.IndexFunc(addresses, func(l config.Listeners) bool { return l.Name == f.name })])
		if err != nil {
			return err
		}
		all = append(all, joined)
	}
	srv.listening.Store(&all)
	return nil
}

// join listens on the addresses of a front, each by its socket if there is one. A listener
// that is there already goes on, with what opens connections now.
func (srv *Server) join(f front, at config.Listeners) (joined Listening, err error) {
	joined.Name, joined.keys = f.name, at.Addrs
	old := srv.byAddress(f.name)
	for i, addr := range at.Addrs {
		open, overload := f.open(srv, i)
		l := old[addr]
		if l != nil {
			l.Configure(overload, srv.edge.ProxyFirst(open))
		} else if l, err = srv.bind(f.name, addr, overload, srv.edge.ProxyFirst(open)); err != nil {
			return joined, fmt.Errorf("%s %s: %w", at.Key, addr, err)
		}
		joined.listeners = append(joined.listeners, l)
	}
	return joined, nil
}

// listeners are where clients connect.
type listeners struct {
	group     *loop.Group
	sockets   *privilege.Sockets // that were bound before the process gave up the right to
	listening atomic.Pointer[[]Listening]
}

// byAddress are the listeners of a front by their addresses in the configuration.
func (l *listeners) byAddress(name string) map[string]*loop.Listener {
	by := make(map[string]*loop.Listener)
	for _, at := range l.Listening() {
		for i := range at.listeners {
			if at.Name == name {
				by[at.keys[i]] = at.listeners[i]
			}
		}
	}
	return by
}

// bind listens on an address, by its socket if there is one.
func (l *listeners) bind(name, addr string, overload []byte, open func(*loop.Conn) loop.Handler) (*loop.Listener, error) {
	if f := l.sockets.File(name, addr); f != nil {
		return l.group.ListenFile(f, overload, open)
	}
	return l.group.Listen(addr, overload, open)
}

// Listening are the listeners of a front.
type Listening struct {
	Name      string
	keys      []string // the addresses as the configuration has them
	listeners []*loop.Listener
}

// Addrs are the addresses, with the ports that were picked for port 0.
func (l Listening) Addrs() (as []netip.AddrPort) {
	for _, at := range l.listeners {
		as = append(as, at.Addr())
	}
	return as
}

// Listening are the listeners of all fronts, in the order of the ready line.
func (l *listeners) Listening() []Listening {
	if all := l.listening.Load(); all != nil {
		return *all
	}
	return nil
}

// Addrs are the addresses of a front; none: it has none, or is not there.
func (l *listeners) Addrs(name string) []netip.AddrPort {
	for _, at := range l.Listening() {
		if at.Name == name {
			return at.Addrs()
		}
	}
	return nil
}
