package engine

import (
	"crypto/tls"
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

// port is what the sessions of one listener share.
type port struct {
	srv      *Server
	daemon   slog.Attr     // for the log
	service  service       // in the server's books
	timeout  time.Duration // for a command, and for the replies to be taken
	tooMany  []byte        // what a connection reads that gets no session
	tls      *tls.Config   // TLS from the first octet; nil: clear text first
	starttls *tls.Config   // of STARTTLS or STLS; nil: there is none
}

// session is what every connection has, whatever it speaks. It implements loop.Handler: it
// decides when its dialogue is fed, waits, and ends (driver.go).
type session struct {
	dialogue dialogue
	srv      *Server
	port     *port
	shard    *shard
	conn     *loop.Conn
	tls      *tlsio.Session // nil: clear text
	addr     string         // of the peer, without port
	name     string         // of the peer by reverse DNS, or "unknown"
	ip       netip.Addr
	trusted  bool
	seat     seat // in the server's books
	opened   time.Time
	reason   string // why it ends, for the log; "" when the peer said goodbye

	waits   wait
	unread  int   // octets that the last Input left
	timed   bool  // the deadline is that of what the peer sends next
	said    bool  // something was written since that deadline was set
	closing bool  // no input is looked at any more
	eof     bool  // the peer has sent FIN
	owed    int64 // conn.Taken once the peer has taken what was written before that deadline was set

	ender      ender
	prev, next *session
}

// ender ends a session at the next point where nothing is lost by it.
type ender interface{ shutdown() }

// commandRead bounds one read while commands are expected, and with it what a
// session may leave unread outside the ledger: more than a group of commands
// needs, little enough for every connection at once.
const commandRead = 4 << 10

// open takes the connection into the server's books. It is false, and the connection is
// closed, when there are too many (see clients).
func (s *session) open(p *port, c *loop.Conn, from netip.AddrPort, d dialogue) bool {
	srv := p.srv
	s.srv, s.port, s.conn, s.dialogue, s.ender = srv, p, c, d, s
	s.shard = srv.shards[c.Loop()]
	s.ip = from.Addr()
	s.addr, s.name = s.ip.String(), "unknown"
	s.opened = time.Now()
	s.seat = seat{service: p.service, own: srv.isOwn(s.ip)}
	if !srv.admits(s.ip, s.seat) {
		if p.tls == nil {
			c.Write(p.tooMany)
		}
		c.Close()
		return false
	}
	s.trusted = srv.trusts(s.ip)
	s.next = s.shard.first
	if s.next != nil {
		s.next.prev = s
	}
	s.shard.first = s
	srv.log.connect(p.daemon, s.addr)
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

// refused is the handler of a connection that was told to come back later.
type refused struct{}

func (refused) Input(_ *loop.Conn, in []byte) int { return len(in) }
func (refused) Drained(*loop.Conn)                {}
func (refused) EOF(c *loop.Conn)                  { c.Close() }
func (refused) Timeout(c *loop.Conn)              { c.Abort() }
func (refused) Closed(*loop.Conn, error)          {}
