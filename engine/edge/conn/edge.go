package conn

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math"
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

// Drain shuts all sessions down, without a loss: see ender. It returns how many it has told
// before ctx ends.
func (e *Edge) Drain(ctx context.Context) (told int) {
	told, _ = e.shutDown(ctx, math.MaxUint64)
	return told
}

// EndOpen is Drain for the sessions that are open now, while new ones go on. It waits until
// they are gone or ctx ends.
func (e *Edge) EndOpen(ctx context.Context) (told int) {
	last := e.ids.Load()
	told, err := e.shutDown(ctx, last)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for open := int64(1); open > 0 && err == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		var count atomic.Int64
		err = e.Each(ctx, func(s *Session) {
			if s.id <= last {
				count.Add(1)
			}
		})
		open = count.Load()
	}
	return told
}

// shutDown shuts the sessions down up to an id, and returns how many.
func (e *Edge) shutDown(ctx context.Context, last uint64) (told int, err error) {
	var count atomic.Int64
	err = e.Each(ctx, func(s *Session) {
		if s.id <= last && !s.Closing {
			count.Add(1)
			s.ender.shutdown()
		}
	})
	return int(count.Load()), err
}

// Each calls f for each session that is open, on the goroutine of the session's loop. It
// returns when f was called for all, or ctx ends. f may end its session.
func (e *Edge) Each(ctx context.Context, f func(*Session)) error {
	return e.visit(ctx, func() func(*Session) { return f })
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
