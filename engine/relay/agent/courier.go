package agent

import (
	"context"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
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
	settings  Settings
	store     storage.Store
	router    *router.Router
	passwords *Passwords
	hosts     *mx.Finder
	security  *Security
	log       *slog.Logger

	shards     []*shard
	perAddress addressCounts
	seed       maphash.Seed
	loads      chan load

	ctx     context.Context // ends all waits; Stop cancels it when its own context ends
	cancel  context.CancelFunc
	closing atomic.Bool
	ended   chan struct{} // closed when closing is set
	running sync.WaitGroup

	// Entrance takes the notifications of this host, and copies for its maildrops. The
	// Entrance that New makes has no keys to sign with. Replace it before Start.
	Entrance *incoming.Entrance

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

	Delay *latency.Histogram // from a message's arrival to its delivery, for each recipient
}

// readers is how many goroutines read the queue.
const readers = 8

// New prepares a Courier. An error names the setting that is wrong.
func New(set Settings, store storage.Store, r *router.Router, hosts *mx.Finder, log *slog.Logger) (*Courier, error) {
	passwords, err := ReadPasswords(set.Passwords)
	if err != nil {
		return nil, err
	}
	c := &Courier{
		settings: set, store: store, router: r, passwords: passwords, hosts: hosts, log: log,
		Stats: Stats{Delay: latency.New(latency.Long)},
		seed:  maphash.MakeSeed(), loads: make(chan load, 1024), ended: make(chan struct{}),
	}
	c.Entrance = &incoming.Entrance{
		Inbox: store, Router: r, Log: log, Hostname: set.Hostname, DefaultDomain: set.DefaultDomain,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if c.security, err = NewSecurity(c.ctx, set.Security, hosts, log); err != nil {
		return nil, err
	}
	n := min(4, runtime.NumCPU())
	if set.Rules.BySender() {
		n = 1 // a destination may have several next hops
	}
	c.perAddress.by = make(map[netip.Prefix]int)
	for range n {
		c.shards = append(c.shards, &shard{c: c, s: queue.New(queue.Config{
			Policy: set.Policy, Initial: set.InitialConnections, PerSite: set.ConnectionsPerDestination,
			Sessions: max(set.Connections/n, 1), MessagesPerSession: set.MessagesPerConnection,
			Rate: set.Rate, MaxEntries: max(set.MaxEntries/n, 1), Limits: set.Limits,
			Strange: shareOfStrange(max(set.Connections/n, 1)), Named: set.Rules.Names,
			NextHop: c.nextHop, BySender: set.Rules.BySender(), Random: rand.Float64,
		})})
	}
	return c, nil
}

func (c *Courier) nextHop(domain, reversePath string) router.Hop {
	hop, _ := c.router.NextHop(c.settings.Rules, domain, reversePath)
	return hop
}

// Start begins to work the queue.
func (c *Courier) Start() {
	for range readers {
		c.running.Go(c.read)
	}
	c.store.Watch(c.wake)
	c.running.Go(c.wakeDue)
	c.running.Go(c.sweep)
}

// Stop ends the sessions: idle ones at once, the others after their current message or
// when ctx ends.
func (c *Courier) Stop(ctx context.Context) {
	if c.closing.Swap(true) {
		return
	}
	c.store.Watch(func(string, bool) {})
	close(c.ended)
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.running.Wait()
	c.cancel()
}

// shardOf returns a destination's shard. All destinations of a next hop have the same.
func (c *Courier) shardOf(domain string) *shard {
	if len(c.shards) == 1 {
		return c.shards[0]
	}
	hop := c.nextHop(domain, "")
	return c.shards[maphash.Comparable(c.seed, hop)%uint64(len(c.shards))]
}

// wake tells the shard that entries of a destination may be due. It never blocks for long,
// because the store calls it.
func (c *Courier) wake(domain string, flush bool) {
	sh := c.shardOf(domain)
	sh.do(func(now time.Time, e *queue.Effects) bool {
		sh.s.Wake(domain, flush, now, e)
		return true
	})
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
