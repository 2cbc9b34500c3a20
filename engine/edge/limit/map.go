package limit

import (
	"iter"
	"maps"
	"time"
)

// Map remembers a bounded number of keys. A full Map forgets one from a sample.
type Map[K comparable, V any] struct {
	max   int
	first func(a, b V) bool
	over  func(v V, now time.Time) bool
	of    map[K]V
}

// sample is how many entries Evict looks at. Go's maps begin to range at a random place.
const sample = 16

// NewMap makes a Map for at most max entries. first reports whether a is forgotten before b.
// over reports whether an entry has expired, so that Evict deletes it whenever it looks at
// it; nil: entries don't expire.
func NewMap[K comparable, V any](max int, first func(a, b V) bool, over func(v V, now time.Time) bool) *Map[K, V] {
	return &Map[K, V]{max: max, first: first, over: over, of: make(map[K]V)}
}

// Get returns an entry, also an expired one.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	v, ok = m.of[k]
	return v, ok
}

// Set keeps an entry. A full Map evicts another entry for a new key.
func (m *Map[K, V]) Set(k K, v V, now time.Time) {
	if len(m.of) >= m.max {
		if _, known := m.of[k]; !known {
			m.Evict(now)
		}
	}
	m.of[k] = v
}

// Evict deletes the expired entries in a sample, and at least one entry. It returns the entry
// that was first, if there was any.
func (m *Map[K, V]) Evict(now time.Time) (worst V, ok bool) {
	var key K
	looked := 0
	for k, v := range m.of {
		if !ok || m.first(v, worst) {
			key, worst, ok = k, v, true
		}
		if m.over != nil && m.over(v, now) {
			delete(m.of, k)
		}
		if looked++; looked == sample {
			break
		}
	}
	if ok {
		delete(m.of, key)
	}
	return worst, ok
}

// SetMax replaces the maximum number of entries. Entries beyond it are evicted, which takes a
// time in proportion to their number.
func (m *Map[K, V]) SetMax(max int, now time.Time) {
	m.max = max
	for len(m.of) > max {
		m.Evict(now)
	}
}

// Delete deletes an entry.
func (m *Map[K, V]) Delete(k K) { delete(m.of, k) }

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.of) }

// All iterates over the entries, in no order.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return maps.All(m.of) }
