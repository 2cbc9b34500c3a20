package dns

import (
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// question is what is asked, and the key of the cache.
type question struct {
	name  string // lower case, A-labels, with the final dot
	qtype uint16
}

// cache keeps answers for their time, at most max of them and at most most octets. It is
// safe for use by many goroutines; a hit allocates nothing.
//
// When it is full, of a few entries picked at random the one that ends first has
// to go, until the new one fits. A list by last use would be a little better at keeping
// what is asked for often, but each hit would write to it, under the one lock.
type cache struct {
	max, most int

	mu      sync.RWMutex
	entries *limit.Map[question, entry] // under mu
	octets  int                         // of entries; under mu
}

type entry struct {
	rec    *Records
	until  time.Time
	octets int
}

// entryOctets is what an entry takes besides its name and its records: its share of the
// map, and the records without any in them.
const entryOctets = 400

func newCache(size, octets int) *cache {
	return &cache{max: size, most: octets, entries: limit.NewMap[question](size, endsFirst, nil)}
}

// get returns nil if the answer is not there or its time is over.
func (c *cache) get(q question, now time.Time) *Records {
	c.mu.RLock()
	e, ok := c.entries.Get(q)
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return nil
	}
	return e.rec
}

// put keeps an answer, unless it alone is larger than an eighth of the cache.
func (c *cache) put(q question, rec *Records, until time.Time) {
	e := entry{rec, until, entryOctets + len(q.name) + rec.octets()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(q)
	if e.octets > c.most/8 {
		return
	}
	for c.entries.Len() > 0 && (c.entries.Len() >= c.max || c.octets+e.octets > c.most) {
		victim, _ := c.entries.Evict(time.Time{})
		c.octets -= victim.octets
	}
	c.entries.Set(q, e, time.Time{})
	c.octets += e.octets
}

// remove takes an entry out, if it is there.
func (c *cache) remove(q question) {
	e, _ := c.entries.Get(q)
	c.octets -= e.octets
	c.entries.Delete(q)
}

func endsFirst(a, b entry) bool { return a.until.Before(b.until) }
