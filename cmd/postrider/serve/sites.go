package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/host/httpserver"
	"postrider/engine/server"
)

// sites are the addresses of HTTP, and what they serve. A reload adds and takes away
// addresses; a request is answered by what counts when it comes.
type sites struct {
	srv     *server.Server
	sockets *privilege.Sockets
	log     *slog.Logger
	pages   http.Handler                 // the web client, or the view of captured mail; nil: not made yet
	plain   atomic.Pointer[http.Handler] // for web.listen

	mu      sync.Mutex
	open    []*site // in the order in which they were opened
	leaving []*site // taken away, and requests still go on
	ended   bool    // no address is added any more
}

// site is an address of HTTP.
type site struct {
	name, addr string // as in config.Listeners
	at         netip.AddrPort
	listener   net.Listener
	server     *httpserver.Server
}

// siteNames are the names of config.Listeners that are HTTP.
var siteNames = []string{"http", "https", "acme"}

// serveWeb opens the addresses of HTTP.
func (h *httpServers) serveWeb(ctx context.Context, p *httpParams) error {
	s := &h.sites
	s.srv, s.sockets, s.log = p.srv, p.sockets, p.log
	s.pages = h.captureView(ctx, p.srv, p.log)
	if err := h.prepare(p.cfg); err != nil {
		return err
	}
	return h.join(p.cfg)
}

// prepare makes the web client if an address of a configuration needs it.
func (h *httpServers) prepare(cfg *config.Config) error {
	s := &h.sites
	if s.pages != nil || len(cfg.Web.ListenTLS) == 0 && (len(cfg.Web.Listen) == 0 || !cfg.Web.Client) {
		return nil
	}
	client, err := s.srv.WebClient(s.log)
	if err != nil {
		return fmt.Errorf("the web client: %w", err)
	}
	s.pages = client
	return nil
}

// join serves at the addresses of a configuration, whose sockets are bound, and leaves the
// other ones. At an error it has done what it could.
func (h *httpServers) join(cfg *config.Config) error {
	s := &h.sites
	mux := s.srv.HTTP()
	if s.pages != nil && (cfg.Web.Client || cfg.Capture.On) {
		mux.Handle("/", s.pages)
	}
	var plain http.Handler = mux
	s.plain.Store(&plain)
	wanted := make(map[[2]string]bool)
	var errs []error
	for _, l := range cfg.Listeners() {
		if !slices.Contains(siteNames, l.Name) {
			continue
		}
		for _, addr := range l.Addrs {
			wanted[[2]string{l.Name, addr}] = true
			if err := h.visit(l.Name, addr); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", l.Key, addr, err))
			}
		}
	}
	for _, gone := range s.leave(func(at *site) bool { return !wanted[[2]string{at.name, at.addr}] }) {
		s.sockets.Drop(gone.name, gone.addr)
	}
	return errors.Join(errs...)
}

// visit serves at an address, unless it is served already.
func (h *httpServers) visit(name, addr string) error {
	s := &h.sites
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || slices.ContainsFunc(s.open, func(at *site) bool { return at.name == name && at.addr == addr }) {
		return nil
	}
	var handler http.Handler
	var within *tls.Config
	switch name {
	case "https":
		handler, within = s.pages, s.srv.WebTLS()
	case "acme":
		handler = s.srv.ACMEHandler()
	default:
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.plain.Load()).ServeHTTP(w, r) })
	}
	at, err := h.serve(s.sockets.File(name, addr), handler, within, s.log)
	if err != nil {
		return err
	}
	at.name, at.addr = name, addr
	s.open = append(s.open, at)
	return nil
}

// leave takes addresses away. Requests that came by them go on.
func (s *sites) leave(which func(*site) bool) (gone []*site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(at *site) bool {
		if !which(at) {
			return false
		}
		gone = append(gone, at)
		return true
	})
	s.leaving = append(s.leaving, gone...)
	for _, at := range gone {
		_ = at.listener.Close() // so that no connection comes any more when this returns
		go func() {
			at.server.End(context.Background(), 0) // until end, at the latest
			s.mu.Lock()
			defer s.mu.Unlock()
			s.leaving = slices.DeleteFunc(s.leaving, func(other *site) bool { return other == at })
		}()
	}
	return gone
}

// end has no address added any more, and returns the servers of all addresses, also of
// addresses that were taken away.
func (s *sites) end() (servers []*httpserver.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, at := range slices.Concat(s.open, s.leaving) {
		servers = append(servers, at.server)
	}
	return servers
}

// addrs are the addresses of a name.
func (s *sites) addrs(name string) (as []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.open {
		if at.name == name {
			as = append(as, at.at)
		}
	}
	return as
}

// serve serves at a socket until the server is shut down, within TLS if there is a
// configuration for it. What is slow sets times of its own (package web).
func (h *httpServers) serve(socket *os.File, handler http.Handler, within *tls.Config, log *slog.Logger) (*site, error) {
	l, err := net.FileListener(socket)
	if err != nil {
		return nil, err
	}
	addr := l.Addr()
	l = httpListener{l, h.limits}
	if within != nil {
		l = tls.NewListener(l, within)
	}
	hs := &http.Server{Handler: h.counts(h.replies(h.limits.only(handler))), BaseContext: func(net.Listener) context.Context { return h.ctx },
		ConnState: h.limits.state, ConnContext: h.limits.connContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return &site{at: addr.(*net.TCPAddr).AddrPort(), listener: l, server: httpserver.Serve(hs, l)}, nil
}
