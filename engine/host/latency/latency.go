// Package latency counts how long things take, in histograms that any goroutine may add to
// without a lock and without memory.
//
//	h := latency.New(latency.Short)
//	h.Observe(time.Since(began))
//
// A bucket counts what took at most its bound; the last one has no bound.
package latency

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of the buckets, in rising order.
type Bounds []time.Duration

// Short is for what a client waits for, Long for the delivery of a message.
var (
	Short = Bounds{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	}
	Long = Bounds{
		10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second,
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 5 * 24 * time.Hour,
	}
)

// Histogram counts times. New makes one.
type Histogram struct {
	bounds Bounds
	counts []atomic.Uint64 // one more than bounds
	sum    atomic.Int64    // nanoseconds
}

// New returns an empty histogram with these buckets.
func New(b Bounds) *Histogram {
	return &Histogram{bounds: b, counts: make([]atomic.Uint64, len(b)+1)}
}

// Observe counts one time. A negative one, of a clock that was set back, counts as zero. A
// nil Histogram counts nothing.
func (h *Histogram) Observe(d time.Duration) { h.ObserveAll(d, 1) }

// ObserveAll counts n things that took the same time.
func (h *Histogram) ObserveAll(d time.Duration, n int) {
	if h == nil {
		return
	}
	d = max(d, 0)
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(uint64(n)) //nolint:gosec // not negative
	h.sum.Add(int64(d) * int64(n))
}

// Snapshot is what a histogram has counted up to a moment.
type Snapshot struct {
	Count   uint64
	Seconds float64            // in all
	Buckets map[float64]uint64 // by bound in seconds: how many took at most so long
}

// Snapshot returns what was counted. Times that are observed meanwhile may be in it in part.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Seconds: time.Duration(h.sum.Load()).Seconds(), Buckets: make(map[float64]uint64, len(h.bounds))}
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < len(h.bounds) {
			s.Buckets[h.bounds[i].Seconds()] = s.Count
		}
	}
	return s
}
