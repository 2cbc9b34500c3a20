package dns

import (
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// question is a name and a type to ask for. It is the cache's key.
type question struct {
	name  string // lower case, A-labels, with the final dot
	qtype uint16
}

// cache keeps answers for their TTL, within max and maxOctets. It is safe for use by many
// goroutines; a hit allocates nothing.
//
// A full cache takes a few entries at random, and removes the one that expires first, until
// the new entry fits. A list by last use (LRU) would keep popular answers a little better,
// but each hit would write to it, under the one lock.
type cache struct {
	max, maxOctets int

	mu      sync.RWMutex
	entries *limit.Map[question, entry] // under mu
	octets  int                         // the size of entries; under mu
}

type entry struct {
	rec    *Records
	until  time.Time
	octets int
}

// entryOctets is the size of an entry without its name and records: its share of the map,
// and empty Records.
const entryOctets = 400

func newCache(size, octets int) *cache {
	return &cache{max: size, maxOctets: octets, entries: limit.NewMap[question](size, endsFirst, nil)}
}

// get returns an answer, or nil if there is none or it has expired.
func (c *cache) get(q question, now time.Time) *Records {
	c.mu.RLock()
	e, ok := c.entries.Get(q)
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return nil
	}
	return e.rec
}

// put keeps an answer, unless it is larger than an eighth of the cache.
func (c *cache) put(q question, rec *Records, until time.Time) {
	e := entry{rec, until, entryOctets + len(q.name) + rec.octets()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(q)
	if e.octets > c.maxOctets/8 {
		return
	}
	for c.entries.Len() > 0 && (c.entries.Len() >= c.max || c.octets+e.octets > c.maxOctets) {
		victim, _ := c.entries.Evict(time.Time{})
		c.octets -= victim.octets
	}
	c.entries.Set(q, e, time.Time{})
	c.octets += e.octets
}

// remove deletes an entry, if it is there.
func (c *cache) remove(q question) {
	e, _ := c.entries.Get(q)
	c.octets -= e.octets
	c.entries.Delete(q)
}

func endsFirst(a, b entry) bool { return a.until.Before(b.until) }
