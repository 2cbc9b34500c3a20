package conn

import (
	"crypto/x509"
	"net/netip"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// Session is what every connection has, whatever it speaks. It implements loop.Handler: it
// decides when its dialogue is fed, waits, and ends (driver.go). The struct of a protocol
// embeds it. Everything in it belongs to the goroutine of its loop.
type Session struct {
	Port    *Port
	Conn    *loop.Conn
	TLS     *tlsio.Session // nil: clear text
	Addr    string         // of the peer, without port
	Name    string         // of the peer by reverse DNS, or "unknown"
	IP      netip.Addr
	Trusted bool
	Reason  string // why it ends, for the log; "" when the peer said goodbye

	Waits   Wait
	Timed   bool // the deadline is that of what the peer sends next
	Closing bool // no input is looked at any more
	Unread  int  // octets that the last Input left

	dialogue Dialogue
	edge     *Edge
	loop     *perLoop
	seat     seat  // in the books of connections
	said     bool  // something was written since the deadline was set
	eof      bool  // the peer has sent FIN
	owed     int64 // Conn.Taken once the peer has taken what was written before the deadline was set

	ender      ender
	prev, next *Session
}

// ender ends a session at the next point where nothing is lost by it.
type ender interface{ shutdown() }

// CommandRead bounds one read while commands are expected, and with it what a
// session may leave unread outside the ledger: more than a group of commands
// needs, little enough for every connection at once.
const CommandRead = 4 << 10

// Open takes the connection into the books. It is false, and the connection is closed,
// when there are too many (see Clients): its handler is Refused then.
func (s *Session) Open(p *Port, c *loop.Conn, from netip.AddrPort, d Dialogue) bool {
	e := p.Edge
	s.edge, s.Port, s.Conn, s.dialogue, s.ender = e, p, c, d, s
	s.loop = e.loops[c.Loop()]
	s.identify(from.Addr())
	s.seat = seat{service: p.Service, own: e.IsOwn(s.IP)}
	if !e.admit(s.IP, s.seat) {
		if p.TLS == nil {
			c.Write(p.TooMany)
		}
		c.Close()
		return false
	}
	s.next = s.loop.first
	if s.next != nil {
		s.next.prev = s
	}
	s.loop.first = s
	e.logConnect(p.Daemon, s.Addr)
	return true
}

// identify takes the client's address.
func (s *Session) identify(ip netip.Addr) {
	s.IP, s.Addr, s.Name = ip, ip.String(), "unknown"
	s.Trusted = s.edge.Trusts(ip)
}

// Move makes the session that of another client, if there is room for one of that.
func (s *Session) Move(to netip.Addr) bool {
	if !s.edge.Clients.move(s.IP, &s.seat, to, s.edge.IsOwn(to)) {
		return false
	}
	s.identify(to)
	return true
}

// LoggedIn counts the session as one that has logged in.
func (s *Session) LoggedIn() { s.edge.Clients.login(s.IP, &s.seat) }

// Certificate is the client's, which proves who it is; nil: it has none.
func (s *Session) Certificate() *x509.Certificate {
	if s.TLS == nil {
		return nil
	}
	return s.TLS.Client()
}

// Client is the peer as the log has it: name[address].
func (s *Session) Client() string { return s.Name + "[" + s.Addr + "]" }

// RDNS is the name of the peer as a Received field wants it.
func (s *Session) RDNS() string {
	if s.Name == "unknown" {
		return ""
	}
	return s.Name
}

// close takes the connection out of the books.
func (s *Session) close() {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.loop.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.edge.Clients.leave(s.IP, s.seat)
}

// Refused is the handler of a connection that was told to come back later.
type Refused struct{}

// Input implements loop.Handler.
func (Refused) Input(_ *loop.Conn, in []byte) int { return len(in) }

// Drained implements loop.Handler.
func (Refused) Drained(*loop.Conn) {}

// EOF implements loop.Handler.
func (Refused) EOF(c *loop.Conn) { c.Close() }

// Timeout implements loop.Handler.
func (Refused) Timeout(c *loop.Conn) { c.Abort() }

// Closed implements loop.Handler.
func (Refused) Closed(*loop.Conn, error) {}
