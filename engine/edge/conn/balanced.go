package conn

import (
	"log/slog"
	"net/netip"
	"time"

	"postrider/codec/proxy"
	"postrider/engine/edge/loop"
)

// Opener makes the session for a connection. from is the client.
type Opener func(c *loop.Conn, from netip.AddrPort) loop.Handler

// ProxyFirst returns a function that opens connections at a listener. A balancer has to send
// a PROXY header first, which names its client.
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

// proxyTimeout is how long a balancer may take for the PROXY header.
const proxyTimeout = 10 * time.Second

// balanced is the handler for a balancer's connection until the PROXY header has come.
// Clients does not count the connection before that: balancers are trusted to be few.
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
	c.Resume() // the session gets what comes after the header
	return n
}

func (b *balanced) fail(c *loop.Conn, why string) {
	b.edge.Stats.ProxyFaults.Add(1)
	b.edge.info("connection from balancer "+c.RemoteAddr().String()+" refused: "+why, slog.String("daemon", "smtpd"))
	c.Abort()
}

// Drained implements loop.Handler.
func (*balanced) Drained(*loop.Conn) {}

// EOF implements loop.Handler: a balancer has made a health check.
func (*balanced) EOF(c *loop.Conn) { c.Close() }

// Timeout implements loop.Handler.
func (b *balanced) Timeout(c *loop.Conn) { b.fail(c, "no PROXY header came") }

// Closed implements loop.Handler.
func (*balanced) Closed(*loop.Conn, error) {}
