package limit

import (
	"sync"
	"testing"
	"time"
)

// With another rate the tokens that are missing stay missing: a client that has used up a
// limit is not given a new one, and a higher limit helps it at once.
func TestBuckets_Configure(t *testing.T) {
	now := time.Unix(1e9, 0)
	used := func(rate Rate, taken int) *Buckets[int] {
		b := NewBuckets[int](rate, 100)
		for range taken {
			if !b.Take(1, now) {
				t.Fatal("no token")
			}
		}
		return b
	}
	f := func(old Rate, taken int, next Rate, left int) {
		t.Helper()
		b := used(old, taken)
		b.Configure(next, 100, float64(next.Count), now, new(sync.Mutex))
		n := 0
		for n <= left && b.Take(1, now) {
			n++
		}
		if n != left || b.Rate() != next {
			t.Errorf("%v with %d taken, then %v: %d tokens are left, want %d", old, taken, next, n, left)
		}
	}
	minute, hour := time.Minute, time.Hour
	f(Rate{10, hour}, 10, Rate{30, minute}, 20)
	f(Rate{30, minute}, 10, Rate{20, hour}, 10)
	f(Rate{1000, minute}, 500, Rate{10, hour}, 0)
	f(Rate{}, 5, Rate{3, hour}, 3)
	f(Rate{5, hour}, 5, Rate{5, minute}, 0)

	full := used(Rate{5, hour}, 5)
	full.Configure(Rate{}, 100, 0, now, new(sync.Mutex))
	if !full.Take(1, now) || full.Len() != 0 {
		t.Error("there is a limit still")
	}
	many := NewBuckets[int](Rate{5, hour}, 100)
	for key := range 100 {
		many.Take(key, now)
	}
	if many.Configure(Rate{5, hour}, 10, 5, now, new(sync.Mutex)); many.Len() != 10 {
		t.Errorf("%d keys are remembered, 10 may be", many.Len())
	}
	// A bucket that was tightened is full again after one period of the new rate.
	slow := used(Rate{1000, minute}, 1000)
	slow.Configure(Rate{10, hour}, 100, 10, now, new(sync.Mutex))
	if slow.Take(1, now.Add(hour/10-1)) || !slow.Take(1, now.Add(hour/10)) {
		t.Error("the debt is not that of one bucket")
	}
}
