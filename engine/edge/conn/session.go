package conn

import (
	"crypto/x509"
	"net/netip"
	"time"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// Session is a connection in any protocol. It implements loop.Handler: it decides when its
// dialogue is fed, waits, and ends (driver.go). The struct for a protocol embeds it. All
// fields belong to the loop's goroutine.
type Session struct {
	Port   *Port
	Conn   *loop.Conn
	TLS    *tlsio.Session // nil: clear text
	Addr   string         // the peer's address, without port
	Name   string         // the peer's name by reverse DNS, or "unknown"
	IP     netip.Addr
	Reason string // why the session ends, for the log; "" after QUIT

	Trusted bool
	Waits   Wait
	Timed   bool  // the deadline is for the peer's next input
	Closing bool  // input is ignored from now on
	seat    seat  // how Clients counts the session
	said    bool  // something was written since the deadline was set
	eof     bool  // the peer has sent FIN
	began   int32 // seconds from Edge.Run on

	Unread int   // octets that the last Input left
	owed   int64 // Conn.Taken once the peer has read what was written before the deadline
	got    int64 // octets that the peer has sent
	id     uint64

	dialogue   Dialogue
	loop       *perLoop
	ender      ender
	prev, next *Session
}

// ender ends a session at the next point where that loses nothing.
type ender interface{ shutdown() }

// CommandRead bounds one read while commands are expected, and so also what a session may
// leave unread without booking memory. It is more than a group of commands needs, and little
// enough for all connections at once.
const CommandRead = 4 << 10

// Open counts the connection. If there are too many (see Clients), Open closes the
// connection and returns false; its handler has to be Refused then.
func (s *Session) Open(p *Port, c *loop.Conn, from netip.AddrPort, d Dialogue) bool {
	e := p.Edge
	s.Port, s.Conn, s.dialogue, s.ender = p, c, d, s
	s.loop, s.id, s.began = e.loops[c.Loop()], e.ids.Add(1), e.seconds()
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
	s.Tally().Begun.Add(1)
	s.logConnect()
	return true
}

// identify sets the client's address.
func (s *Session) identify(ip netip.Addr) {
	s.IP, s.Addr, s.Name = ip, ip.String(), "unknown"
	s.Trusted = s.Port.Edge.Trusts(ip)
}

// Move counts the session for another client, if there is room, and sets its address.
func (s *Session) Move(to netip.Addr) bool {
	if !s.Port.Edge.Clients.move(s.IP, &s.seat, to, s.Port.Edge.IsOwn(to)) {
		return false
	}
	s.identify(to)
	return true
}

// LoggedIn counts the session as one that has logged in.
func (s *Session) LoggedIn() { s.Port.Edge.Clients.login(s.IP, &s.seat) }

// Certificate is the client's verified certificate, or nil.
func (s *Session) Certificate() *x509.Certificate {
	if s.TLS == nil {
		return nil
	}
	return s.TLS.Client()
}

// Since is when the client connected, to the second.
func (s *Session) Since() time.Time {
	return s.Port.Edge.started.Add(time.Duration(s.began) * time.Second)
}

// Client is the peer as in the log: name[address].
func (s *Session) Client() string { return s.Name + "[" + s.Addr + "]" }

// RDNS is the peer's name for a Received field, or "".
func (s *Session) RDNS() string {
	if s.Name == "unknown" {
		return ""
	}
	return s.Name
}

// close ends what Open has counted.
func (s *Session) close() {
	for _, w := range s.loop.walks {
		if w.next == s {
			w.next = s.next
		}
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.loop.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.Tally().Ended.Add(1)
	s.Port.Edge.Clients.leave(s.IP, s.seat)
}

// Refused is the handler for a connection that Open has refused.
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
