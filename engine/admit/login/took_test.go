package login

import (
	"testing"
	"time"

	"postrider/engine/host/latency"
)

// A login that waits for its turn because of many wrong passwords does not look slow: its wait
// is counted apart from its check, and denied logins are counted apart from granted ones.
func TestTook_waitsAreNotChecks(t *testing.T) {
	const check = 3 * time.Second // in the queue of the pool and its hash
	took := Took{Granted: latency.New(latency.Long), Denied: latency.New(latency.Long), Waited: latency.New(latency.Long)}
	var b *bed
	b = newBed(t, func(s *Settings) {
		s.Took = took
		queue := s.Queue
		s.Queue = func(a *Attempt, last bool) bool {
			b.now = b.now.Add(check)
			return queue(a, last)
		}
	})
	want := func(what string, h *latency.Histogram, count uint64, took time.Duration) {
		t.Helper()
		if s := h.Snapshot(); s.Count != count || s.Seconds != took.Seconds() {
			t.Errorf("%s: %d in %v seconds, want %d in %v", what, s.Count, s.Seconds, count, took.Seconds())
		}
	}
	b.wrong(tokens, "alice", site)
	want("denied", took.Denied, tokens, tokens*check)
	want("waited", took.Waited, 0, 0)

	began := b.now
	if got := b.judged(typed("alice", "right"), 1); got != Granted {
		t.Fatalf("verdict %d", got)
	}
	wait := b.now.Sub(began) - check
	if wait <= 0 {
		t.Fatalf("it has waited for %v", wait)
	}
	want("waited", took.Waited, 1, wait)
	want("granted", took.Granted, 1, check)
	want("denied", took.Denied, tokens, tokens*check)

	if got := b.judged(typed("alice", "right"), 0); got != Granted { // remembered, and the network is known
		t.Fatalf("verdict %d", got)
	}
	want("granted", took.Granted, 2, check)
}
