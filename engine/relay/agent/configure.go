package agent

import (
	"hash/maphash"
	"math/rand/v2"
	"time"

	"postrider/engine/mail/incoming"
	"postrider/engine/relay/queue"
)

// Next is the settings that a Courier is about to take: see Prepare.
type Next struct{ rules *rules }

// Prepare reads the files that settings name. An error names the setting that is wrong.
func (c *Courier) Prepare(set Settings) (Next, error) {
	r, err := c.read(set)
	return Next{r}, err
}

// read makes rules of settings. What is remembered of other hosts stays.
func (c *Courier) read(set Settings) (*rules, error) {
	r := &rules{Settings: set}
	var err error
	if r.passwords, err = ReadPasswords(set.Passwords); err != nil {
		return nil, err
	}
	if r.security, err = NewSecurity(c.ctx, set.Security, c.hosts, c.log); err != nil {
		return nil, err
	}
	if before := c.live.Load(); before != nil {
		r.security.resume(before.security, before.Security.Roots == set.Security.Roots)
	}
	return r, nil
}

// Configure replaces the settings, and what takes notifications and copies for maildrops. The
// caller has configured the mx.Finder. Attempts that have begun use the old or the new ones. Destinations in
// memory that have another next hop now are read again, and destinations that sleep because
// their old next hop is dead are woken.
func (c *Courier) Configure(next Next, in *incoming.Entrance) {
	c.SetEntrance(in)
	c.routing.Lock()
	c.live.Store(next.rules)
	c.awake = make(map[string]*shard)
	for _, sh := range c.shards {
		sh.mu.Lock()
		sh.s.Destinations(func(domain string) { c.awake[domain] = sh })
		sh.mu.Unlock()
	}
	c.routing.Unlock()
	var moved []string
	for i, sh := range c.shards {
		sh.do(func(now time.Time, e *queue.Effects) bool {
			moved = append(moved, sh.s.Configure(c.configOf(next.rules, i, len(c.shards)), now, e)...)
			return true
		})
	}
	for _, domain := range moved {
		c.wake(domain, false)
	}
}

// configOf is what shard i of n goes by. Where the sender may decide about the next hop the
// first shard has all destinations; the others end what they have.
func (c *Courier) configOf(r *rules, i, n int) queue.Config {
	connections, entries := r.Connections/n, r.MaxEntries/n
	if n > 1 && r.Rules.BySender() {
		connections, entries = 0, 0
		if i == 0 {
			connections, entries = r.Connections, r.MaxEntries
		}
	}
	connections, entries = max(connections, 1), max(entries, 1)
	return queue.Config{
		Policy: r.Policy, Initial: r.InitialConnections, PerSite: r.ConnectionsPerDestination,
		Sessions: connections, MessagesPerSession: r.MessagesPerConnection,
		Rate: r.Rate, MaxEntries: entries, Limits: r.Limits,
		Strange: shareOfStrange(connections), Named: r.Rules.Names,
		NextHop: c.nextHop, BySender: r.Rules.BySender(), Random: rand.Float64,
	}
}

// wake tells the shard that entries of a destination may be due. It never blocks for long,
// because the store calls it.
//
// All destinations of a next hop have the same shard. After Configure a destination may
// belong to another shard than the one that has its entries in memory: an entry must not be
// in two. So a destination that was awake then stays where it is until it sleeps.
func (c *Courier) wake(domain string, flush bool) {
	c.routing.RLock()
	if old := c.awake[domain]; old != nil {
		has := false
		old.doUnder(func(now time.Time, e *queue.Effects) bool {
			if has = old.s.Has(domain); has {
				old.s.Wake(domain, flush, now, e)
			}
			return has
		}, func() {
			if has {
				c.routing.RUnlock()
			}
		})
		if has {
			return
		}
	}
	sh := c.home(domain)
	sh.doUnder(func(now time.Time, e *queue.Effects) bool {
		sh.s.Wake(domain, flush, now, e)
		return true
	}, c.routing.RUnlock)
}

// home returns the shard of a destination that sleeps.
func (c *Courier) home(domain string) *shard {
	if len(c.shards) == 1 || c.rules().Rules.BySender() {
		return c.shards[0]
	}
	return c.shards[maphash.Comparable(c.seed, c.nextHop(domain, ""))%uint64(len(c.shards))]
}
