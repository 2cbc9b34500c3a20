package loop

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Errors that Handler.Closed receives, besides the errors of system calls.
var (
	// ErrStopped: Group.Stop ended the loops.
	ErrStopped = errors.New("loop: stopped")
	// ErrStalled: after Conn.Close the peer took too little output in Config.Stall.
	ErrStalled = errors.New("loop: the peer does not read its output")
)

// Config is the configuration of a Group. The zero value is usable.
type Config struct {
	// Loops is the number of loops; 0: runtime.GOMAXPROCS(0) at the time of New.
	// A loop that returns from the kernel needs a free P, so run the process with
	// GOMAXPROCS = cores + Loops if it does other work beside the loops.
	Loops int
	// ReadBuffer is the size in octets of the one read buffer of a loop, and with
	// it the most that one read takes and one connection keeps; 0: 256 KiB.
	ReadBuffer int
	// RecvBuffer is SO_RCVBUF of the connections in octets: the kernel's share of
	// what a paused connection holds; 0: the kernel's own tuning, up to tcp_rmem[2].
	RecvBuffer int
	// NotSentLowat is TCP_NOTSENT_LOWAT of the connections in octets: with more
	// unsent in the kernel, a socket counts as not writable; 0: no limit but
	// tcp_wmem[2].
	NotSentLowat int
	// Linger is how long Conn.Close reads and drops what the peer still sends,
	// waiting for its FIN; 0: 2 s.
	Linger time.Duration
	// Stall is how long after Conn.Close the peer may take for 16 KiB of the pending
	// output before the connection is cut; 0: 2 minutes.
	Stall time.Duration
	// MaxConns is how many connections may be open at once, with the ones that are about
	// to end; a client over that gets the listener's overload text; 0: no limit. With
	// so many that fewer than SpareConns are left, a connection that is closed does not
	// wait for its peer's FIN (see Linger): clients that stay after a refusal would
	// take all.
	MaxConns, SpareConns int
	// Log takes panics of handlers and failures to accept; nil: slog.Default().
	Log *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.Loops <= 0 {
		cfg.Loops = runtime.GOMAXPROCS(0)
	}
	if cfg.ReadBuffer <= 0 {
		cfg.ReadBuffer = 256 << 10
	}
	if cfg.Linger <= 0 {
		cfg.Linger = 2 * time.Second
	}
	if cfg.Stall <= 0 {
		cfg.Stall = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return cfg
}

// Group is a set of loops that share their listeners. Its methods may be called
// from any goroutine.
type Group struct {
	cfg   Config
	loops []*Loop
	ended sync.WaitGroup // the goroutines of the loops

	maxConns, spareConns atomic.Int64 // see Config.MaxConns

	// reserves is held for reading in each accept, and for writing while a loop has
	// given up its reserve descriptor.
	reserves sync.RWMutex

	mu        sync.Mutex
	started   bool
	stopped   bool
	listeners []*Listener
}

// New makes a group with its loops, which run after Start. A group that is never
// started must be stopped all the same, for its descriptors.
func New(cfg Config) (*Group, error) {
	g := &Group{cfg: cfg.withDefaults()}
	g.SetMaxConns(g.cfg.MaxConns, g.cfg.SpareConns)
	for range g.cfg.Loops {
		l, err := newLoop(g)
		if err != nil {
			g.Stop()
			return nil, fmt.Errorf("loop: %w", err)
		}
		g.loops = append(g.loops, l)
	}
	return g, nil
}

// Loops returns the loops, in a fixed order. The slice is the group's.
func (g *Group) Loops() []*Loop { return g.loops }

// Conns returns the number of connections whose Closed is still to come.
func (g *Group) Conns() int {
	n := int64(0)
	for _, l := range g.loops {
		n += l.open.Load()
	}
	return int(n)
}

// isFull reports whether Config.MaxConns are open. Loops that accept at the same moment may
// go one over each.
func (g *Group) isFull() bool {
	most := int(g.maxConns.Load())
	return most > 0 && g.Conns() >= most
}

// SetMaxConns replaces Config.MaxConns and Config.SpareConns. Connections that are open stay.
func (g *Group) SetMaxConns(most, spare int) {
	g.maxConns.Store(int64(most))
	g.spareConns.Store(int64(spare))
}

// mayLinger reports whether a connection that is closed may wait for its peer.
func (g *Group) mayLinger() bool {
	most := g.maxConns.Load()
	return most <= 0 || int64(g.Conns()) <= most-g.spareConns.Load()
}

// Start runs the loops, each on a goroutine of its own. From here on the
// listeners accept.
func (g *Group) Start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.started || g.stopped {
		return
	}
	g.started = true
	for _, l := range g.loops {
		g.ended.Add(1)
		go func() {
			defer g.ended.Done()
			l.run()
		}()
	}
}

// Stop ends the loops and waits for them: all connections are closed at once,
// with ErrStopped for connections that were not closed already, tasks posted before are
// run, and the listeners are closed. To stop gently, first call
// Listener.Accepting(false) and have the handlers finish. Stop must not be called
// from a loop.
func (g *Group) Stop() {
	g.mu.Lock()
	first := !g.stopped
	g.stopped = true
	started, listeners := g.started, g.listeners
	g.mu.Unlock()
	if first {
		for _, l := range g.loops {
			if started {
				l.Post((*stop)(l))
			} else {
				l.end()
			}
		}
	}
	g.ended.Wait()
	if first {
		for _, lis := range listeners {
			lis.close()
		}
	}
}
