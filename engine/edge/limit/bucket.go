package limit

import (
	"sync"
	"time"
)

// Bucket is a token bucket for Rate.Count tokens. It is one number, the time at which it
// will be full again. The zero Bucket is full. All calls for one Bucket need the same Rate;
// the zero Rate is no limit.
type Bucket struct{ fullAt time.Time }

// Take takes a token, and returns false if there is none.
func (b *Bucket) Take(r Rate, now time.Time) bool {
	if r.Count == 0 {
		return true
	}
	after := *b
	after.add(r.each(), now)
	if after.fullAt.Sub(now) > r.Per {
		return false
	}
	*b = after
	return true
}

// Has reports whether there is a token.
func (b Bucket) Has(r Rate, now time.Time) bool {
	return r.Count == 0 || b.fullAt.Sub(now) <= r.Per-r.each()
}

// Owe takes n tokens, even if there are fewer. The debt is at most one bucket.
func (b *Bucket) Owe(r Rate, n int, now time.Time) {
	if r.Count == 0 || n <= 0 {
		return
	}
	b.add(time.Duration(min(n, 2*r.Count))*r.each(), now)
	if most := now.Add(2 * r.Per); b.fullAt.After(most) {
		b.fullAt = most
	}
}

// Add takes tokens, or a part of one, even if there are fewer. The caller bounds the debt.
func (b *Bucket) Add(r Rate, tokens float64, now time.Time) {
	if r.Count != 0 {
		b.add(time.Duration(tokens*float64(r.each())), now)
	}
}

func (b *Bucket) add(fill time.Duration, now time.Time) {
	if b.fullAt.Before(now) {
		b.fullAt = now
	}
	b.fullAt = b.fullAt.Add(fill)
}

// Give puts tokens back.
func (b *Bucket) Give(r Rate, tokens float64) {
	if r.Count != 0 {
		b.fullAt = b.fullAt.Add(-time.Duration(tokens * float64(r.each())))
	}
}

// Used is how many tokens are missing.
func (b Bucket) Used(r Rate, now time.Time) float64 {
	if b.IsFull(now) || r.Count == 0 || r.each() == 0 {
		return 0
	}
	return float64(b.fullAt.Sub(now)) / float64(r.each())
}

// IsFull reports whether no token is missing, as in a new Bucket.
func (b Bucket) IsFull(now time.Time) bool { return !b.fullAt.After(now) }

// Buckets has a Bucket for each key, such as a client, a network or a name, all with one
// Rate. A full Bucket needs no memory.
type Buckets[K comparable] struct {
	rate Rate
	of   *Map[K, Bucket]
}

// NewBuckets makes Buckets with rate, which remember at most max keys.
func NewBuckets[K comparable](rate Rate, max int) *Buckets[K] {
	return &Buckets[K]{rate: rate, of: NewMap[K](max, fullFirst, Bucket.IsFull)}
}

func fullFirst(a, b Bucket) bool { return a.fullAt.Before(b.fullAt) }

// Take takes a token from key's Bucket, and returns false if there is none.
func (s *Buckets[K]) Take(key K, now time.Time) bool {
	if s.rate.Count == 0 {
		return true
	}
	b, _ := s.of.Get(key)
	if !b.Take(s.rate, now) {
		return false
	}
	s.of.Set(key, b, now)
	return true
}

// Has reports whether key's Bucket has a token.
func (s *Buckets[K]) Has(key K, now time.Time) bool {
	b, _ := s.of.Get(key)
	return b.Has(s.rate, now)
}

// Owe calls Bucket.Owe for key's Bucket.
func (s *Buckets[K]) Owe(key K, n int, now time.Time) {
	if s.rate.Count == 0 || n <= 0 {
		return
	}
	b, _ := s.of.Get(key)
	b.Owe(s.rate, n, now)
	s.of.Set(key, b, now)
}

// Add calls Bucket.Add for key's Bucket.
func (s *Buckets[K]) Add(key K, tokens float64, now time.Time) {
	b, _ := s.of.Get(key)
	b.Add(s.rate, tokens, now)
	s.of.Set(key, b, now)
}

// Give puts tokens back into key's Bucket, and forgets a full one.
func (s *Buckets[K]) Give(key K, tokens float64, now time.Time) {
	b, ok := s.of.Get(key)
	if !ok {
		return
	}
	if b.Give(s.rate, tokens); b.IsFull(now) {
		s.of.Delete(key)
		return
	}
	s.of.Set(key, b, now)
}

// Used is how many tokens are missing in key's Bucket.
func (s *Buckets[K]) Used(key K, now time.Time) float64 {
	b, _ := s.of.Get(key)
	return b.Used(s.rate, now)
}

// Configure replaces the Rate and how many keys are remembered. The tokens that are missing
// in a Bucket stay missing, up to most. It holds lock as Map.Change does.
func (s *Buckets[K]) Configure(rate Rate, max int, most float64, now time.Time, lock sync.Locker) {
	lock.Lock()
	defer lock.Unlock()
	was := s.rate
	s.rate = rate
	if rate == was {
		s.of.Change(max, nil, now, lock)
		return
	}
	s.of.Change(max, func(b Bucket) (Bucket, bool) {
		used := b.Used(was, now)
		if used == 0 || rate.Count == 0 {
			return Bucket{}, false
		}
		var of Bucket
		of.Add(rate, min(used, most), now)
		return of, true
	}, now, lock)
}

// Rate is the Rate for each Bucket.
func (s *Buckets[K]) Rate() Rate { return s.rate }

// Len is how many keys are remembered.
func (s *Buckets[K]) Len() int { return s.of.Len() }
