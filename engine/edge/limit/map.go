package limit

import (
	"runtime"
	"sync"
	"time"
)

// Map remembers a bounded number of keys. A full Map forgets one from a sample.
type Map[K comparable, V any] struct {
	max   int
	first func(a, b V) bool
	over  func(v V, now time.Time) bool
	of    map[K]V

	// While Change moves the entries: the entries that it has not moved yet. No key is in both.
	before map[K]V
	change func(v V) (V, bool)
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
	if v, ok = m.of[k]; ok || m.before == nil {
		return v, ok
	}
	if v, ok = m.before[k]; ok {
		v, ok = m.change(v)
	}
	return v, ok
}

// Set keeps an entry. A full Map evicts another entry for a new key.
func (m *Map[K, V]) Set(k K, v V, now time.Time) {
	delete(m.before, k)
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
	key, worst, ok := m.sample(now)
	if ok {
		delete(m.of, key)
	}
	return worst, ok
}

// sample deletes the expired entries in a sample, and returns the one that is forgotten first.
func (m *Map[K, V]) sample(now time.Time) (key K, worst V, ok bool) {
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
	return key, worst, ok
}

// changeStep is how many entries Change moves before it lets others have the lock.
const changeStep = 64

// Change replaces the maximum number of entries, and has change replace each entry, or forget
// it. change may be called for one entry more than once; nil: entries stay as they are. A full
// Map forgets others, by sample.
//
// The caller holds the lock that guards the Map, and no other Change is under way. Change
// unlocks and locks it again after each few entries, so that others wait for microseconds
// however many entries there are. They see each entry as it is after the change. Until the end
// there may be entries beyond the new maximum.
func (m *Map[K, V]) Change(max int, change func(v V) (V, bool), now time.Time, lock sync.Locker) {
	m.max = max
	if change == nil {
		if len(m.of) <= max {
			return
		}
		change = func(v V) (V, bool) { return v, true }
	}
	// Entries go into a new map, also because a map does not shrink: to find a sample among
	// the empty places of a large one takes long.
	m.of, m.before, m.change = make(map[K]V), m.of, change
	moved := 0
	for k, v := range m.before {
		delete(m.before, k)
		if v, ok := change(v); ok {
			m.keep(k, v, now)
		}
		if moved++; moved%changeStep == 0 {
			lock.Unlock()
			runtime.Gosched() // to what waits for the lock
			lock.Lock()
		}
	}
	m.before, m.change = nil, nil
}

// keep adds an entry that was there, unless the Map is full of others that matter more.
func (m *Map[K, V]) keep(k K, v V, now time.Time) {
	if len(m.of) >= m.max {
		key, worst, ok := m.sample(now)
		switch {
		case len(m.of) < m.max: // some had expired
		case !ok || !m.first(worst, v):
			return
		default:
			delete(m.of, key)
		}
	}
	m.of[k] = v
}

// Delete deletes an entry.
func (m *Map[K, V]) Delete(k K) {
	delete(m.of, k)
	delete(m.before, k)
}

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.of) + len(m.before) }
