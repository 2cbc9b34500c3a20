package conn

import (
	"log/slog"
	"net/netip"
	"time"

	"postrider/codec/proxy"
	"postrider/engine/edge/loop"
)

// Opener makes the session of a connection; from is the client.
type Opener func(c *loop.Conn, from netip.AddrPort) loop.Handler

// ProxyFirst returns what a listener does with a connection: a balancer has to name its
// client first, in a PROXY header.
func (e *Edge) ProxyFirst(open Opener) func(c *loop.Conn) loop.Handler {
	return func(c *loop.Conn) loop.Handler {
		if !e.IsBalancer(c.RemoteAddr().Addr()) {
			return open(c, c.RemoteAddr())
		}
		c.SetReadLimit(proxy.MaxHeader)
		c.SetDeadline(proxyTimeout)
		return &balanced{e, open}
	}
}

// proxyTimeout is how long a balancer may take for its header: it sends it at once.
const proxyTimeout = 10 * time.Second

// balanced is the handler of a balancer's connection until its header has come. It
// is in none of the server's books yet: balancers are trusted to be few.
type balanced struct {
	edge *Edge
	open Opener
}

// Input implements loop.Handler.
func (b *balanced) Input(c *loop.Conn, in []byte) int {
	h, n, err := proxy.Parse(in)
	switch {
	case err != nil:
		b.fail(c, err.Error())
		return 0
	case n == 0:
		return 0
	}
	from := c.RemoteAddr()
	if h.Source.IsValid() {
		from = h.Source
	}
	c.SetHandler(b.open(c, from))
	c.Resume() // what comes after the header is the session's
	return n
}

func (b *balanced) fail(c *loop.Conn, why string) {
	b.edge.Stats.ProxyFaults.Add(1)
	b.edge.info("connection from balancer "+c.RemoteAddr().String()+" refused: "+why, slog.String("daemon", "smtpd"))
	c.Abort()
}

// Drained implements loop.Handler.
func (*balanced) Drained(*loop.Conn) {}

// EOF implements loop.Handler: a balancer that looks whether somebody is there.
func (*balanced) EOF(c *loop.Conn) { c.Close() }

// Timeout implements loop.Handler.
func (b *balanced) Timeout(c *loop.Conn) { b.fail(c, "no PROXY header came") }

// Closed implements loop.Handler.
func (*balanced) Closed(*loop.Conn, error) {}
