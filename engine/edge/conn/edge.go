package conn

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// Edge is what the sessions of all listeners share. It is read-only once connections are
// accepted, but for what counts.
type Edge struct {
	Log     *slog.Logger
	Clients *Clients
	TLS     TLS

	Trusts     func(netip.Addr) bool // the network may ask VRFY and EXPN
	IsOwn      func(netip.Addr) bool // it is a network of our own
	IsBalancer func(netip.Addr) bool // its connections begin with a PROXY header

	Stats Stats

	loops map[*loop.Loop]*perLoop
}

// TLS is what handshakes with clients need. The zero value is for a server without TLS.
type TLS struct {
	Handshaker *tlsio.Handshaker
	Limit      time.Duration // for all of a handshake
	Pace       *Pace
}

// Stats count since the start.
type Stats struct {
	Timeouts                 atomic.Int64 // peers that were too slow
	TLSHandshakes, TLSFailed atomic.Int64
	TLSBusy, TLSPaced        atomic.Int64 // turned away: too many handshakes, too many of one client
	ProxyFaults              atomic.Int64 // balancers without a PROXY header
}

// perLoop is what the sessions of one event loop share. It belongs to the loop's goroutine.
type perLoop struct {
	loop  *loop.Loop
	tls   tlsio.Scratch
	first *Session // all open sessions, for the drain
}

// Run prepares sessions on these loops.
func (e *Edge) Run(loops []*loop.Loop) {
	e.loops = make(map[*loop.Loop]*perLoop)
	for _, l := range loops {
		e.loops[l] = &perLoop{loop: l}
	}
}

// Drain tells all sessions to end at the next point where nothing is lost by it.
func (e *Edge) Drain() {
	e.Each(func(s *Session) { s.ender.shutdown() })
}

// Each calls f for each open session, soon, on the goroutine of its loop.
func (e *Edge) Each(f func(*Session)) {
	for l, p := range e.loops {
		l.Post(each{p, f})
	}
}

// each is the task that calls f for the sessions of a loop.
type each struct {
	of *perLoop
	f  func(*Session)
}

// Run implements loop.Task. A session may end by f.
func (e each) Run() {
	for s := e.of.first; s != nil; {
		next := s.next
		e.f(s)
		s = next
	}
}

// Port is what the sessions of one listener share.
type Port struct {
	Edge     *Edge
	Daemon   slog.Attr     // for the log
	Service  Service       // that it is counted for
	Timeout  time.Duration // for a command, and for the replies to be taken
	TooMany  []byte        // what a connection reads that gets no session
	TLS      *tls.Config   // TLS from the first octet; nil: clear text first
	StartTLS *tls.Config   // of STARTTLS or STLS; nil: there is none
}

// Admit counts a connection in; if there is no room for it, it is logged why.
func (e *Edge) Admit(ip netip.Addr, service Service, own bool) bool {
	return e.admit(ip, seat{service: service, own: own})
}

// Leave counts out what Admit has counted in.
func (e *Edge) Leave(ip netip.Addr, service Service, own bool) {
	e.Clients.leave(ip, seat{service: service, own: own})
}

func (e *Edge) admit(ip netip.Addr, at seat) bool {
	why := e.Clients.admit(ip, at)
	if why == admitted {
		return true
	}
	if more, tell := e.Clients.mayTell(time.Now()); tell {
		e.Log.LogAttrs(context.Background(), slog.LevelWarn, "too many connections: refused "+ip.String()+" at "+serviceNames[at.service]+": "+reasonWords[why],
			slog.Int("refused_before", more))
	}
	return false
}
