package limit

// Recent remembers keys for a while, in two generations: Turn drops the keys that were not
// set since the Turn before. So no call takes a time in proportion to the keys, as a sweep over
// all of them would. The zero Recent is empty.
type Recent[K comparable, V any] struct{ young, old map[K]V }

// Get returns an entry.
func (r *Recent[K, V]) Get(k K) (v V, ok bool) {
	if v, ok = r.young[k]; ok {
		return v, ok
	}
	v, ok = r.old[k]
	return v, ok
}

// Set keeps an entry until the second Turn from now on.
func (r *Recent[K, V]) Set(k K, v V) {
	if r.young == nil {
		r.young = make(map[K]V)
	}
	delete(r.old, k)
	r.young[k] = v
}

// Turn begins another generation.
func (r *Recent[K, V]) Turn() { r.old, r.young = r.young, nil }

// Len is how many entries there are.
func (r *Recent[K, V]) Len() int { return len(r.young) + len(r.old) }
