package limit

import (
	"iter"
	"maps"
	"time"
)

// Map remembers a bounded number of keys. When it is full one of a sample has to go.
type Map[K comparable, V any] struct {
	max   int
	first func(a, b V) bool
	over  func(v V, now time.Time) bool
	of    map[K]V
}

// sample is how many entries are looked at when one has to go. Go's maps begin to range at
// a random place.
const sample = 16

// NewMap makes a Map of at most max entries. first says of two which has to go first. over
// says that an entry means nothing any more, so that it goes whenever it is looked at; nil:
// there are none.
func NewMap[K comparable, V any](max int, first func(a, b V) bool, over func(v V, now time.Time) bool) *Map[K, V] {
	return &Map[K, V]{max: max, first: first, over: over, of: make(map[K]V)}
}

// Get finds an entry, also one that is over.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	v, ok = m.of[k]
	return v, ok
}

// Set keeps an entry. For a new key in a full Map another entry goes.
func (m *Map[K, V]) Set(k K, v V, now time.Time) {
	if len(m.of) >= m.max {
		if _, known := m.of[k]; !known {
			m.Evict(now)
		}
	}
	m.of[k] = v
}

// Evict forgets the entries of a sample that are over, and at least one entry: it returns
// the one that had to go first, if there was any.
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

// Delete forgets an entry.
func (m *Map[K, V]) Delete(k K) { delete(m.of, k) }

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.of) }

// All are the entries, in no order.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return maps.All(m.of) }
