package limit

import "time"

// Bucket is a token bucket that holds Count tokens of a Rate. It is one number, the time at
// which it will be full again. The zero Bucket is full. All calls for one Bucket have to
// give the same Rate; under the zero Rate there is no limit.
type Bucket struct{ fullAt time.Time }

// Take takes a token, if there is one.
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

// Has says whether there is a token, and leaves it there.
func (b Bucket) Has(r Rate, now time.Time) bool {
	return r.Count == 0 || b.fullAt.Sub(now) <= r.Per-r.each()
}

// Owe takes n tokens that were used already, though there may be fewer. The debt is never
// more than one bucket.
func (b *Bucket) Owe(r Rate, n int, now time.Time) {
	if r.Count == 0 || n <= 0 {
		return
	}
	b.add(time.Duration(min(n, 2*r.Count))*r.each(), now)
	if most := now.Add(2 * r.Per); b.fullAt.After(most) {
		b.fullAt = most
	}
}

// Add takes tokens, or parts of one, whether they are there or not: the caller bounds the
// debt.
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

// Give puts tokens back that were taken.
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

// IsFull says whether no token is missing: a new Bucket would be the same.
func (b Bucket) IsFull(now time.Time) bool { return !b.fullAt.After(now) }

// Buckets has a Bucket of one Rate for each of many clients, networks or names. A full one
// needs no memory.
type Buckets[K comparable] struct {
	rate Rate
	of   *Map[K, Bucket]
}

// NewBuckets makes buckets of rate, of which at most max are remembered.
func NewBuckets[K comparable](rate Rate, max int) *Buckets[K] {
	return &Buckets[K]{rate: rate, of: NewMap[K](max, fullFirst, Bucket.IsFull)}
}

func fullFirst(a, b Bucket) bool { return a.fullAt.Before(b.fullAt) }

// Take takes a token out of the bucket of who, if there is one.
func (s *Buckets[K]) Take(who K, now time.Time) bool {
	if s.rate.Count == 0 {
		return true
	}
	b, _ := s.of.Get(who)
	if !b.Take(s.rate, now) {
		return false
	}
	s.of.Set(who, b, now)
	return true
}

// Has says whether there is a token in the bucket of who, and leaves it there.
func (s *Buckets[K]) Has(who K, now time.Time) bool {
	b, _ := s.of.Get(who)
	return b.Has(s.rate, now)
}

// Owe is Bucket.Owe for that of who.
func (s *Buckets[K]) Owe(who K, n int, now time.Time) {
	if s.rate.Count == 0 || n <= 0 {
		return
	}
	b, _ := s.of.Get(who)
	b.Owe(s.rate, n, now)
	s.of.Set(who, b, now)
}

// Add is Bucket.Add for that of who.
func (s *Buckets[K]) Add(who K, tokens float64, now time.Time) {
	b, _ := s.of.Get(who)
	b.Add(s.rate, tokens, now)
	s.of.Set(who, b, now)
}

// Give puts tokens back that were taken for who; a bucket that is full is forgotten.
func (s *Buckets[K]) Give(who K, tokens float64, now time.Time) {
	b, ok := s.of.Get(who)
	if !ok {
		return
	}
	if b.Give(s.rate, tokens); b.IsFull(now) {
		s.of.Delete(who)
		return
	}
	s.of.Set(who, b, now)
}

// Used is how many tokens are missing in the bucket of who.
func (s *Buckets[K]) Used(who K, now time.Time) float64 {
	b, _ := s.of.Get(who)
	return b.Used(s.rate, now)
}

// Rate is what each bucket holds.
func (s *Buckets[K]) Rate() Rate { return s.rate }

// Len is how many buckets are remembered.
func (s *Buckets[K]) Len() int { return s.of.Len() }
