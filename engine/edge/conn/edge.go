package conn

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/loop"
	"postrider/engine/edge/tlsio"
)

// Edge is shared by the sessions on all listeners. Only its counters, Clients and the limits
// of TLS change once connections are accepted.
type Edge struct {
	Log     *slog.Logger
	Clients *Clients
	Lines   *Lines // nil: no limit
	TLS     TLS

	Trusts     func(netip.Addr) bool // the client may use VRFY and EXPN
	IsOwn      func(netip.Addr) bool // the client is in one of our own networks
	IsBalancer func(netip.Addr) bool // connections from there begin with a PROXY header

	Stats Stats

	ids     atomic.Uint64 // id of the newest session
	started time.Time
	loops   map[*loop.Loop]*perLoop

	tracing sync.Mutex               // held while traces are added and removed
	traces  atomic.Pointer[[]*trace] // nil: none
}

// seconds is the time since Run.
func (e *Edge) seconds() int32 { return int32(time.Since(e.started) / time.Second) } //nolint:gosec // 68 years

// TLS has the settings for handshakes with clients. The zero value is for a server without
// TLS.
type TLS struct {
	Handshaker *tlsio.Handshaker
	Limit      *atomic.Int64 // for a whole handshake: a time.Duration
	Pace       *Pace
}

// Stats count since the start.
type Stats struct {
	Timeouts                 atomic.Int64 // peers that were too slow
	TLSHandshakes, TLSFailed atomic.Int64
	TLSTimeouts              atomic.Int64 // handshakes that took too long; Timeouts has them too
	TLSBusy, TLSPaced        atomic.Int64 // refused: too many handshakes in all, or from one client
	ProxyFaults              atomic.Int64 // balancers without a PROXY header
}

// perLoop is shared by the sessions on one event loop. It belongs to the loop's goroutine.
type perLoop struct {
	loop  *loop.Loop
	tls   tlsio.Scratch
	first *Session // a list of all open sessions, the newest first
	walks []*walk  // that are under way through the list
	taps  map[*Session]*tap

	tallies [Fronts]Tally
}

// Run prepares e for sessions on these loops.
func (e *Edge) Run(loops []*loop.Loop) {
	e.started, e.loops = time.Now(), make(map[*loop.Loop]*perLoop)
	for _, l := range loops {
		e.loops[l] = &perLoop{loop: l}
	}
}

// Drain shuts all sessions down, without a loss: see ender.
func (e *Edge) Drain() {
	e.Each(func(s *Session) { s.ender.shutdown() })
}

// Each calls f for each open session, soon, on the goroutine of the session's loop.
func (e *Edge) Each(f func(*Session)) {
	for l, p := range e.loops {
		l.Post(each{p, f})
	}
}

// each is a task that calls f for all sessions on a loop.
type each struct {
	of *perLoop
	f  func(*Session)
}

// Run implements loop.Task. f may end the session.
func (e each) Run() {
	for s := e.of.first; s != nil; {
		next := s.next
		e.f(s)
		s = next
	}
}

// Port is shared by the sessions on one listener.
type Port struct {
	Edge     *Edge
	Daemon   slog.Attr     // for the log
	Service  Service       // the service that connections count for
	Front    Front         // the kind of listener, for metrics
	Timeout  time.Duration // for a command, and for reading the replies
	TooMany  []byte        // the reply to a connection without room
	TLS      *tls.Config   // TLS from the first octet; nil: clear text first
	StartTLS *tls.Config   // for STARTTLS or STLS; nil: not offered

	// Scribe makes what writes a dialogue down; nil: it can't be traced. joined: the session
	// has begun before. emit is called for each line.
	Scribe func(joined bool, emit func(line string)) Scribe
}

// Admit counts a connection if there is room for it. Else it logs the reason.
func (e *Edge) Admit(ip netip.Addr, service Service, own bool) bool {
	return e.admit(ip, seat{service: service, own: own})
}

// Leave ends what Admit has counted.
func (e *Edge) Leave(ip netip.Addr, service Service, own bool) {
	e.Clients.leave(ip, seat{service: service, own: own})
}

func (e *Edge) admit(ip netip.Addr, at seat) bool {
	why := e.Clients.admit(ip, at)
	if why == admitted {
		return true
	}
	if more, yes := e.Clients.mayLog(time.Now()); yes {
		e.Log.LogAttrs(context.Background(), slog.LevelWarn, "too many connections: refused "+ip.String()+" at "+serviceNames[at.service]+": "+reasonWords[why],
			slog.Int("refused_before", more))
	}
	return false
}
