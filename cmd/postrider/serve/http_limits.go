package serve

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// HTTP connections are counted together with the other protocols', by client. An idle
// connection makes room for a new one. When all are busy, up to reserveHTTP new ones are
// still accepted, and get a 503 unless they ask for the server's health: health checks
// always get through.

const (
	// maxHTTP is how many connections of HTTP are open at once, maxHTTPClient how many of
	// them one client has.
	maxHTTP       = 1024
	maxHTTPClient = 512
	// reserveHTTP is how many more there are for health checks.
	reserveHTTP = 64
)

// admission is the count of connections of all protocols.
type admission interface {
	AdmitHTTP(netip.Addr) (leave func())
}

// httpLimits counts the connections of all listeners of HTTP.
type httpLimits struct {
	others admission
	exempt func(netip.Addr) bool // proxies, which are many clients

	mu       sync.Mutex
	open     int                       // counted connections
	reserved int                       // beyond them
	by       map[netip.Addr]*list.List // idle connections of each client, the longest idle first
	counts   map[netip.Addr]int
	idle     *list.List // the idle connections of all clients
}

func newHTTPLimits(others admission, exempt func(netip.Addr) bool) *httpLimits {
	return &httpLimits{others: others, exempt: exempt, by: make(map[netip.Addr]*list.List), counts: make(map[netip.Addr]int), idle: list.New()}
}

// httpListener accepts connections that are counted.
type httpListener struct {
	net.Listener
	limits *httpLimits
}

// Accept implements net.Listener.
func (l httpListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if counted := l.limits.admit(c); counted != nil {
			return counted, nil
		}
		_ = c.Close() // not even the reserve has room
	}
}

// httpConn is a connection of HTTP.
type httpConn struct {
	net.Conn
	limits  *httpLimits
	client  netip.Addr
	out     func() // counts it out among all protocols
	reserve bool   // for health checks alone

	// Places in the lists of idle connections; guarded by limits.mu.
	place, placeOfClient *list.Element
	closed               bool
}

// Close implements net.Conn.
func (c *httpConn) Close() error {
	c.limits.leave(c)
	return c.Conn.Close()
}

// admit counts a connection; nil: there is no room.
func (l *httpLimits) admit(conn net.Conn) *httpConn {
	c := &httpConn{Conn: conn, limits: l}
	if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.client = at.Addr().Unmap().WithZone("")
	}
	for range 2 { // with room that there is, then with room that is made
		l.mu.Lock()
		tooMany := l.counts[c.client] >= maxHTTPClient && !l.exempt(c.client)
		if l.open < maxHTTP && !tooMany {
			c.out = l.others.AdmitHTTP(c.client)
		}
		if c.out != nil {
			l.open++
			l.counts[c.client]++
			l.setIdle(c, true)
			l.mu.Unlock()
			return c
		}
		victim := l.longestIdle(c.client, tooMany)
		l.mu.Unlock()
		if victim == nil {
			break
		}
		_ = victim.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reserved == reserveHTTP {
		return nil
	}
	c.reserve = true
	l.reserved++
	return c
}

// longestIdle is the connection to close for a new one: the same client's, or, if it has
// none and others hold all, any client's.
func (l *httpLimits) longestIdle(client netip.Addr, ofClient bool) *httpConn {
	if own := l.by[client]; own != nil && own.Len() > 0 {
		return own.Front().Value.(*httpConn)
	}
	if first := l.idle.Front(); first != nil && !ofClient {
		return first.Value.(*httpConn)
	}
	return nil
}

// setIdle puts a connection into the lists of idle ones, or takes it out. l.mu is held.
func (l *httpLimits) setIdle(c *httpConn, idle bool) {
	if c.place != nil {
		l.idle.Remove(c.place)
		l.by[c.client].Remove(c.placeOfClient)
		if l.by[c.client].Len() == 0 {
			delete(l.by, c.client)
		}
		c.place, c.placeOfClient = nil, nil
	}
	if !idle || c.closed || c.reserve {
		return
	}
	if l.by[c.client] == nil {
		l.by[c.client] = list.New()
	}
	c.place, c.placeOfClient = l.idle.PushBack(c), l.by[c.client].PushBack(c)
}

// leave counts a connection out.
func (l *httpLimits) leave(c *httpConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return
	}
	l.setIdle(c, false)
	c.closed = true
	if c.reserve {
		l.reserved--
		return
	}
	l.open--
	if l.counts[c.client]--; l.counts[c.client] == 0 {
		delete(l.counts, c.client)
	}
	c.out()
}

// counted is the connection below TLS.
func counted(c net.Conn) *httpConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	h, _ := c.(*httpConn)
	return h
}

// state is the http.Server's ConnState: a connection without a request is idle.
func (l *httpLimits) state(conn net.Conn, s http.ConnState) {
	c := counted(conn)
	if c == nil || s != http.StateActive && s != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setIdle(c, s == http.StateIdle)
}

type reserveKey struct{}

// connContext is the http.Server's ConnContext.
func (l *httpLimits) connContext(ctx context.Context, conn net.Conn) context.Context {
	if c := counted(conn); c != nil && c.reserve {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return context.WithValue(ctx, reserveKey{}, true)
	}
	return ctx
}

// healthPaths are answered over every connection.
var healthPaths = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// only answers over a connection of the reserve only questions of health.
func (l *httpLimits) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(reserveKey{}) == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if healthPaths[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "5")
		http.Error(w, "There are too many connections from your address, or in all. Try again in some seconds.", http.StatusServiceUnavailable)
	})
}
