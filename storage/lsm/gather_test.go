package lsm

import (
	"testing"
	"time"
)

// The committer waits for others only where others come.
func TestGather(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := func(name string, each time.Duration, ops, waiting, expected int, want time.Duration) {
		t.Helper()
		var g gather
		for i := range 100 {
			g.took(ops, begin.Add(time.Duration(i)*each))
		}
		if got := g.pause(waiting, expected).Round(10 * time.Microsecond); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	f("one session", 500*time.Microsecond, 1, 1, 0, 0)
	f("four sessions", 500*time.Microsecond, 2, 1, 3, 0)
	f("many idle sessions and a slow one", 500*time.Millisecond, 1, 1, 5000, 0)
	f("a calm server", time.Millisecond, 1, 1, 20, 0) // 1.5 in the longest pause
	f("busy", 500*time.Microsecond, 3, 1, 20, longestPause)
	f("busier", 500*time.Microsecond, 8, 1, 20, 560*time.Microsecond)
	f("the last ones", 500*time.Microsecond, 8, 4, 5, 310*time.Microsecond)
	f("nearly all are here", 500*time.Microsecond, 8, 9, 20, 0)
	f("all are here", 500*time.Microsecond, 8, 10, 200, 0)
	f("more than all", 500*time.Microsecond, 40, 64, 200, 0)
	if got := new(gather).pause(1, 100); got != 0 {
		t.Errorf("before the first round: %v", got)
	}
}
