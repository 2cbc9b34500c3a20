package agent

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/host/latency"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// Courier works the queue of a store. New, then Start, then Stop.
type Courier struct {
	live   atomic.Pointer[rules]
	store  storage.Store
	router *router.Router
	hosts  *mx.Finder
	log    *slog.Logger

	shards     []*shard
	routing    sync.RWMutex      // held while a destination gets its shard; Configure holds it for writing
	awake      map[string]*shard // guarded by routing: see shardOf
	perAddress addressCounts
	seed       maphash.Seed
	loads      chan load

	ctx     context.Context // ends all waits; Stop cancels it when its own context ends
	cancel  context.CancelFunc
	closing atomic.Bool
	ended   chan struct{} // closed when closing is set
	running sync.WaitGroup

	entrance atomic.Pointer[incoming.Entrance]

	// Stats count since the start.
	Stats Stats

	tracing sync.Mutex                // held while traces are added and removed
	traces  atomic.Pointer[[]*Follow] // nil: none
}

// Stats are counters of recipients, connections and notifications.
type Stats struct {
	Sent, Deferred, Bounced, Expired atomic.Int64 // recipients
	Sessions, Reused                 atomic.Int64 // new connections, and messages over a kept one
	OverTLS, Verified, TLSFailures   atomic.Int64 // connections, and handshakes or certificates that failed
	Notices, Dropped                 atomic.Int64 // notifications that were sent, and dropped ones

	// Delay gets the time from a message's arrival to its delivery to another host, for each
	// recipient. The entrance has that of maildrops.
	Delay   *latency.Histogram
	Results Results // the outcomes for recipients, in all
}

// readers is how many goroutines read the queue.
const readers = 8

// rules are the settings, and what is made of them.
type rules struct {
	Settings
	passwords *Passwords
	security  *Security
}

// rules returns the rules that count now.
func (c *Courier) rules() *rules { return c.live.Load() }

// New prepares a Courier. An error names the setting that is wrong.
func New(set Settings, store storage.Store, r *router.Router, hosts *mx.Finder, log *slog.Logger) (*Courier, error) {
	c := &Courier{
		store: store, router: r, hosts: hosts, log: log,
		Stats: Stats{Delay: latency.New(latency.Long)},
		seed:  maphash.MakeSeed(), loads: make(chan load, 1024), ended: make(chan struct{}),
	}
	c.SetEntrance(&incoming.Entrance{
		Inbox: store, Router: r, Log: log, Hostname: set.Hostname, DefaultDomain: set.DefaultDomain,
	})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	next, err := c.read(set)
	if err != nil {
		return nil, err
	}
	c.live.Store(next)
	n := min(4, runtime.NumCPU())
	if set.Rules.BySender() {
		n = 1 // a destination may have several next hops
	}
	c.perAddress.by = make(map[netip.Prefix]int)
	for i := range n {
		c.shards = append(c.shards, &shard{c: c, s: queue.New(c.configOf(next, i, n))})
	}
	return c, nil
}

func (c *Courier) nextHop(domain, reversePath string) router.Hop {
	hop, _ := c.router.NextHop(c.rules().Rules, domain, reversePath)
	return hop
}

// SetEntrance sets what takes the notifications of this host, and copies for its maildrops.
// The one that New makes has no keys to sign with.
func (c *Courier) SetEntrance(in *incoming.Entrance) { c.entrance.Store(in) }

// Settings returns the settings that count now.
func (c *Courier) Settings() *Settings { return &c.rules().Settings }

// Start begins to work the queue.
func (c *Courier) Start() {
	for range readers {
		c.running.Go(c.serveLoads)
	}
	c.store.Watch(c.wake)
	c.running.Go(c.wakeDue)
	c.running.Go(c.sweep)
}

// Stop ends the sessions: idle ones at once, the others after their current message or
// when ctx ends. A second call waits for the same.
func (c *Courier) Stop(ctx context.Context) {
	if !c.closing.Swap(true) {
		c.store.Watch(func(string, bool) {})
		close(c.ended)
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.running.Wait()
	c.cancel()
}

// Flush makes an attempt for a destination's mail now, also where its hosts are
// taken for dead.
func (c *Courier) Flush(domain string) { c.wake(domain, true) }

// Sites calls f for each next hop that has mail in memory, sessions, or is dead.
func (c *Courier) Sites(f func(queue.SiteStatus)) {
	for _, sh := range c.shards {
		sh.mu.Lock()
		sh.s.Sites(time.Now(), f)
		sh.mu.Unlock()
	}
}

// Load returns how many entries, sessions and destinations are in memory.
func (c *Courier) Load() (jobs, sessions, awake int) {
	for _, sh := range c.shards {
		sh.mu.Lock()
		jobs += sh.s.Jobs()
		sessions += sh.s.Sessions()
		awake += sh.s.Awake()
		sh.mu.Unlock()
	}
	return jobs, sessions, awake
}

// FlushAll tries dead hosts again now. It does not change when entries are due; that is
// storage.Queue.MoveQueued.
func (c *Courier) FlushAll() {
	for _, sh := range c.shards {
		sh.do(func(now time.Time, e *queue.Effects) bool {
			sh.s.Revive(now, e)
			return true
		})
	}
}

// Return bounces an entry now, with reason.
func (c *Courier) Return(e *storage.QueueEntry, reason string) {
	a := &queue.Attempt{At: time.Now(), NotMade: true, Record: "returned by an operator: " + oneLine(reason)}
	for range e.Recipients {
		a.Results = append(a.Results, queue.Result{Verdict: queue.Permanent, Status: "5.0.0", Reason: reason})
	}
	c.finish(e, a, 0)
}
