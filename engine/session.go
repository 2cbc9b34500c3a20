package engine

import (
	"crypto/x509"
	"log/slog"
	"net/netip"
	"time"

	"postrider/engine/loop"
	"postrider/engine/pop3d"
	"postrider/engine/smtpd"
	"postrider/engine/tlsio"
)

// shard is what the sessions of one event loop share. It belongs to the loop's
// goroutine.
type shard struct {
	loop    *loop.Loop
	smtp    smtpd.Effects
	tls     tlsio.Scratch
	pop3    pop3d.Effects
	scratch []byte
	records []slog.Record // of the lines of one message
	first   *session      // all open sessions, for the drain
}

// session is what every connection has, whatever it speaks.
type session struct {
	srv     *Server
	shard   *shard
	conn    *loop.Conn
	tls     *tlsio.Session // nil: clear text
	addr    string         // of the peer, without port
	name    string         // of the peer by reverse DNS, or "unknown"
	ip      netip.Addr
	trusted bool
	seat    seat // in the server's books
	opened  time.Time
	reason  string // why it ends, for the log; "" when the peer said goodbye

	parked  bool // a question is with another goroutine: nothing is read
	closing bool // no input is looked at any more
	eof     bool // the peer has sent FIN

	ender      ender
	prev, next *session
}

// ender ends a session at the next point where nothing is lost by it.
type ender interface{ shutdown() }

// commandRead bounds one read while commands are expected, and with it what a
// session may leave unread outside the ledger: more than a group of commands
// needs, little enough for every connection at once.
const commandRead = 4 << 10

// open takes the connection into the server's books: false when there are too
// many (see clients).
func (s *session) open(srv *Server, c *loop.Conn, from netip.AddrPort, at service, e ender) bool {
	s.srv, s.conn, s.ender = srv, c, e
	s.shard = srv.shards[c.Loop()]
	s.ip = from.Addr()
	s.addr, s.name = s.ip.String(), "unknown"
	s.opened = time.Now()
	s.seat = seat{service: at, own: srv.isOwn(s.ip)}
	if !srv.admits(s.ip, s.seat) {
		return false
	}
	s.trusted = srv.trusts(s.ip)
	s.next = s.shard.first
	if s.next != nil {
		s.next.prev = s
	}
	s.shard.first = s
	return true
}

// certificate is the client's, which proves who it is; nil: it has none.
func (s *session) certificate() *x509.Certificate {
	if s.tls == nil {
		return nil
	}
	return s.tls.Client()
}

// client is the peer as the log has it: name[address].
func (s *session) client() string { return s.name + "[" + s.addr + "]" }

// rdns is the name of the peer as a Received field wants it.
func (s *session) rdns() string {
	if s.name == "unknown" {
		return ""
	}
	return s.name
}

// close takes the connection out of the books.
func (s *session) close() {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		s.shard.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.srv.clients.leave(s.ip, s.seat)
}

// park marks that an answer has to come before any input is looked at. Reading
// is paused only when the peer sends something meanwhile, which most don't: that
// saves two system calls a message.
//
// There is no deadline meanwhile: it is not the peer who is waited for.
func (s *session) park() {
	s.parked = true
	s.conn.SetReadLimit(commandRead)
	s.conn.SetDeadline(0)
}

// maxUnsent is how many octets of replies may wait for a peer that does not read
// them before its next commands are looked at.
const maxUnsent = 64 << 10

// parkUnsent parks the session until its peer has read what waits for it: Drained
// goes on. A peer that does not read for limit is cut off by Timeout.
func (s *session) parkUnsent(limit time.Duration) {
	s.park()
	s.conn.SetDeadline(limit)
	s.conn.WantDrained()
}

// refused is the handler of a connection that was told to come back later.
type refused struct{}

func (refused) Input(_ *loop.Conn, in []byte) int { return len(in) }
func (refused) Drained(*loop.Conn)                {}
func (refused) EOF(c *loop.Conn)                  { c.Close() }
func (refused) Timeout(c *loop.Conn)              { c.Abort() }
func (refused) Closed(*loop.Conn, error)          {}
