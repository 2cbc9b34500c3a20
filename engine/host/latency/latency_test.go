package latency

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// What a histogram counts, against a sorted list of the same times.
func TestHistogram(t *testing.T) {
	for _, bounds := range []Bounds{Short, Long} {
		if !slices.IsSorted(bounds) {
			t.Errorf("%v are not in order", bounds)
		}
		h := New(bounds)
		random := rand.New(rand.NewPCG(3, 4))
		var all []time.Duration
		var sum time.Duration
		add := func(d time.Duration) {
			h.Observe(d)
			all = append(all, max(d, 0))
			sum += max(d, 0)
		}
		add(-time.Second)
		for _, b := range bounds {
			add(b - 1)
			add(b)
			add(b + 1)
		}
		for range 1000 {
			add(time.Duration(random.Int64N(int64(1) << random.IntN(52))))
		}
		got := h.Snapshot()
		if got.Count != uint64(len(all)) || got.Seconds != sum.Seconds() || len(got.Buckets) != len(bounds) {
			t.Errorf("%d times of %v seconds in %d buckets, want %d of %v in %d", got.Count, got.Seconds, len(got.Buckets), len(all), sum.Seconds(), len(bounds))
		}
		for _, b := range bounds {
			var want uint64
			for _, d := range all {
				if d <= b {
					want++
				}
			}
			if got := got.Buckets[b.Seconds()]; got != want {
				t.Errorf("at most %v: %d, want %d", b, got, want)
			}
		}
	}
	var none *Histogram
	none.Observe(time.Second)
}

func TestObserve_allocations(t *testing.T) {
	h := New(Short)
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := New(Short)
	for b.Loop() {
		h.Observe(3 * time.Millisecond)
	}
}
