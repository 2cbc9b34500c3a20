package conn

import (
	"testing"
	"time"
)

// Progress cuts off a client that sends too little, and no other.
func TestProgress(t *testing.T) {
	// lasts returns the number of the Look that cuts off a client; 2,000: none does. sends
	// returns how many octets the client sends before each Look.
	lasts := func(rate int64, limit time.Duration, sends func(look int) int64) int {
		var p Progress
		p.Begin(limit)
		for i := range 2000 {
			p.octets += sends(i)
			if !p.Look(rate, limit) {
				return i + 1
			}
		}
		return 2000
	}
	const limit = 3 * time.Minute // a Look each minute
	f := func(name string, rate int64, sends func(look int) int64, want int) {
		t.Helper()
		if got := lasts(rate, limit, sends); got != want {
			t.Errorf("%s: %d looks, want %d", name, got, want)
		}
	}
	steady := func(n int64) func(int) int64 { return func(int) int64 { return n } }
	f("silent", 100, steady(0), 3)
	f("an octet a minute", 100, steady(1), 4)
	f("an octet a second", 100, steady(60), 4)
	f("half the rate", 100, steady(3000), 6)
	f("the rate", 100, steady(6000), 2000)
	f("a line in a minute at 1 octet a second", 1, steady(72), 2000)
	f("in bursts", 100, func(i int) int64 {
		if i%3 == 0 {
			return 18_000
		}
		return 0
	}, 2000)
	f("fast, then silent", 100, func(i int) int64 {
		if i < 10 {
			return 1 << 30
		}
		return 0
	}, 13)
	f("as fast as it gets, then silent", 1, func(i int) int64 {
		if i < 10 {
			return 1 << 62
		}
		return 0
	}, 13)
	f("no minimum: an octet now and then", 0, func(i int) int64 { return int64(i % 2) }, 2000)
	f("no minimum: silent", 0, steady(0), 3)
	for _, limit := range []time.Duration{time.Second, 3 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		silent := lasts(100, limit, steady(0))
		if took := time.Duration(silent) * LookEvery(limit); took < limit || took > limit+LookEvery(limit) {
			t.Errorf("%v: a silent client is cut off after %v", limit, took)
		}
	}
}
