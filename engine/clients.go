package engine

import (
	"net/netip"
	"sync"

	"postrider/engine/limit"
)

// clients counts the connections, in total and by client. An IPv6 client is its
// /64: a host has as many addresses in it as it likes.
type clients struct {
	max, perClient int // 0: no limit

	mu    sync.Mutex
	total int
	by    map[netip.Addr]int32
}

func newClients(total, perClient int) *clients {
	return &clients{max: total, perClient: perClient, by: make(map[netip.Addr]int32)}
}

// clientOf is what counts as one client; see limit.Client.
func clientOf(ip netip.Addr) netip.Addr {
	return limit.Client(ip).Addr()
}

// admit counts a connection in, or says that there are too many.
func (c *clients) admit(ip netip.Addr) bool {
	ip = clientOf(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max > 0 && c.total >= c.max || c.perClient > 0 && ip.IsValid() && int(c.by[ip]) >= c.perClient {
		return false
	}
	c.total++
	c.by[ip]++
	return true
}

// move counts a connection of one client as that of another, if there is room.
func (c *clients) move(from, to netip.Addr) bool {
	from, to = clientOf(from), clientOf(to)
	c.mu.Lock()
	defer c.mu.Unlock()
	if from != to && c.perClient > 0 && int(c.by[to]) >= c.perClient {
		return false
	}
	c.by[to]++
	if c.by[from]--; c.by[from] == 0 {
		delete(c.by, from)
	}
	return true
}

// leave counts a connection out.
func (c *clients) leave(ip netip.Addr) {
	ip = clientOf(ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.by[ip]--; c.by[ip] == 0 {
		delete(c.by, ip)
	}
}

// AdmitHTTP counts a connection of HTTP in, with those of the other protocols, or says
// that there are too many. A proxy in web.proxies is not one client: its connections count
// in total only.
func (srv *Server) AdmitHTTP(ip netip.Addr) bool {
	return srv.clients.admit(srv.httpClient(ip))
}

// LeaveHTTP counts it out.
func (srv *Server) LeaveHTTP(ip netip.Addr) { srv.clients.leave(srv.httpClient(ip)) }

// httpClient is what counts as the client; the zero Addr is one without a limit.
func (srv *Server) httpClient(ip netip.Addr) netip.Addr {
	for _, n := range srv.cfg.Web.Proxies {
		if n.Contains(ip.Unmap()) {
			return netip.Addr{}
		}
	}
	return ip
}

// buffers is a bounded free list of buffers of one size: a sync.Pool would be
// emptied by each garbage collection and filled anew by each login.
type buffers struct {
	size int
	mu   sync.Mutex
	free [][]byte
}

// keptBuffers bounds what a list holds on to, in octets.
const keptBuffers = 16 << 20

func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		p := b.free[n-1]
		b.free = b.free[:n-1]
		return p
	}
	return make([]byte, 0, b.size)
}

func (b *buffers) put(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if (len(b.free)+1)*b.size <= keptBuffers {
		b.free = append(b.free, p[:0])
	}
}
