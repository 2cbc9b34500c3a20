package resolver

import (
	"sync"
	"time"
)

// question is what is asked, and the key of the cache.
type question struct {
	name  string // lower case, A-labels, with the final dot
	qtype uint16
}

// cache keeps answers for their time, at most max of them. It is safe for use by
// many goroutines; a hit allocates nothing.
//
// When it is full, of a few entries picked at random the one that ends first has
// to go. A list by last use would be a little better at keeping what is asked for
// often, but each hit would write to it, under the one lock.
type cache struct {
	max int

	mu      sync.RWMutex
	entries map[question]entry // under mu
}

type entry struct {
	rec   *records
	until time.Time
}

func newCache(size int) *cache {
	return &cache{max: size, entries: make(map[question]entry)}
}

// get returns nil if the answer is not there or its time is over.
func (c *cache) get(q question, now time.Time) *records {
	c.mu.RLock()
	e, ok := c.entries[q]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return nil
	}
	return e.rec
}

func (c *cache) put(q question, rec *records, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, has := c.entries[q]; !has && len(c.entries) >= c.max {
		c.evict()
	}
	c.entries[q] = entry{rec, until}
}

// evict makes room for one. Maps are walked from a random place on, which is
// where the few come from.
func (c *cache) evict() {
	const few = 8
	var victim question
	var soonest time.Time
	n := 0
	for q, e := range c.entries {
		if n == 0 || e.until.Before(soonest) {
			victim, soonest = q, e.until
		}
		if n++; n == few {
			break
		}
	}
	delete(c.entries, victim)
}

// size is how many entries there are, those whose time is over included.
func (c *cache) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}
