package queue

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// reload replaces the configuration, as the courier does.
func (w *world) reload(cfg Config) {
	cfg.Policy = w.policy
	w.config = cfg
	var moved []string
	w.do(func(e *Effects) { moved = w.s.Configure(cfg, w.now, e) })
	for _, domain := range moved {
		w.awake[domain] = true
		w.do(func(e *Effects) { w.s.Wake(domain, false, w.now, e) })
	}
}

// another is a configuration with other limits and other routes.
func (w *world) another() Config {
	n := func(most int) int { return 1 + w.random.IntN(most) }
	c := w.config
	c.Initial, c.PerSite, c.Sessions, c.MessagesPerSession, c.MaxEntries = n(10), n(20), n(60), n(100), n(500)
	c.Rate, c.Limits = w.random.IntN(3)*n(20), map[string]Limit{"d1.example": {Rate: n(9), Sessions: n(9)}}
	routes := make(map[string]router.Hop)
	for i := range 12 {
		if w.random.IntN(3) == 0 {
			routes[fmt.Sprintf("d%d.example", i)] = router.Hop{Kind: router.ByHost, Host: fmt.Sprintf("relay%d.example", w.random.IntN(3))}
		}
	}
	c.BySender = w.random.IntN(3) == 0
	c.NextHop = func(domain, from string) router.Hop {
		if c.BySender && from == "s3@a.example" {
			return router.Hop{Kind: router.ByHost, Host: "smart.example"}
		}
		if hop, ok := routes[domain]; ok {
			return hop
		}
		return router.Hop{Host: domain}
	}
	return c
}

// Limits and routes change while mail is on its way: nothing is lost, and nothing is
// delivered twice.
func TestConfigure_NothingIsLost(t *testing.T) {
	seed := rand.Uint64()
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	for i := range rounds {
		randomLifeWith(t, seed+uint64(i), false, func(w *world) {
			for k := range 200 {
				within := int64(4 * 24 * time.Hour)
				if k%2 == 0 {
					within = int64(10 * time.Minute)
				}
				w.at(time.Duration(w.random.Int64N(within)), func() { w.reload(w.another()) })
			}
			w.at(4*24*time.Hour, func() { w.reload(newWorld(1).config) })
		})
	}
}

// Jobs that wait in memory go by the new routes: each is delivered once, also when routes
// change every few seconds.
func TestConfigure_JobsMove(t *testing.T) {
	seed := rand.Uint64()
	w := newWorld(seed)
	w.host = func(router.Hop) *host { return &host{latency: time.Second, up: always, answer: taken} }
	w.boot()
	const messages = 3000
	w.at(time.Second, func() {
		for i := range messages {
			w.accept(fmt.Sprintf("d%d.example", i%12), fmt.Sprintf("s%d@a.example", i%5), fmt.Sprintf("u@d%d.example", i%12))
		}
	})
	for k := range 100 {
		w.at(time.Duration(2+3*k)*time.Second, func() { w.reload(w.another()) })
	}
	w.at(5*time.Minute+10*time.Second, func() { w.reload(newWorld(1).config) })
	w.run(10 * time.Minute)
	for key, n := range w.got {
		if n != 1 {
			t.Errorf("seed %d: %s was delivered %d times", seed, key, n)
		}
	}
	if len(w.got) != messages || len(w.entries) != 0 || w.s.Jobs() != 0 || w.s.Awake() != 0 {
		t.Errorf("seed %d: %d of %d are delivered; %d entries, %d jobs and %d destinations are left",
			seed, len(w.got), messages, len(w.entries), w.s.Jobs(), w.s.Awake())
	}
}

// Mail that waits for a host that is dead goes by the new route at once.
func TestConfigure_ADeadHostIsLeft(t *testing.T) {
	w := newWorld(1)
	dead := func(time.Time) bool { return false }
	w.host = func(hop router.Hop) *host {
		h := &host{latency: time.Second, up: always, answer: taken}
		if hop.Host == "old.example" {
			h.up = dead
		}
		return h
	}
	through := func(name string) func(string, string) router.Hop {
		return func(string, string) router.Hop { return router.Hop{Kind: router.ByHost, Host: name} }
	}
	w.config.NextHop = through("old.example")
	w.boot()
	const messages = 500
	w.at(time.Second, func() {
		for i := range messages {
			w.accept(fmt.Sprintf("d%d.example", i%20), "s@a.example", fmt.Sprintf("u@d%d.example", i%20))
		}
	})
	w.run(time.Minute)
	before := w.attempts
	if len(w.got) != 0 || before == 0 {
		t.Fatalf("%d delivered, %d attempts", len(w.got), before)
	}
	tried := make(map[storage.EntryID]bool) // those wait for their next attempt
	for id, e := range w.entries {
		tried[id] = e.Attempts > 0
	}
	next := w.config
	next.NextHop = through("new.example")
	w.at(0, func() { w.reload(next) })
	w.run(2 * time.Minute)
	left := maps.Clone(w.entries)
	maps.DeleteFunc(left, func(id storage.EntryID, _ *storage.QueueEntry) bool { return tried[id] })
	if len(left) > 0 {
		t.Errorf("%d messages that had no attempt still wait", len(left))
	}
}
