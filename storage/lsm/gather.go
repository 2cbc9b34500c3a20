package lsm

import (
	"time"

	"golang.org/x/sys/unix"
)

// gather is the pause that the committer makes before a round when more deliveries
// are about to come: a round costs about as much for twelve as for three (a sync, five
// hand-overs between threads), so on a busy server waiting a moment is what makes all of
// it faster. It is made only while all of these hold:
//
//   - transactions are under way that are not in the queue yet (Store.Expect), and
//     more than a few, so that a client with a session or two never waits for nothing;
//   - at the pace of the last rounds at least two of them arrive within longestPause.
type gather struct {
	last time.Time // when the last round was
	ops  float64   // taken in the last rounds, older ones count less
	secs float64   // that these rounds took, likewise
}

const (
	// longestPause is the most that a delivery waits for others.
	longestPause = 600 * time.Microsecond
	// shortestPause is what isn't worth a system call.
	shortestPause = 100 * time.Microsecond
	// wholeRound is how many ops make the cost of a round small against their own.
	wholeRound = 10
	// fewExpected transactions are not waited for.
	fewExpected = 4
	// roundFade is what an earlier round counts against the next one.
	roundFade = 0.9
)

// pause returns how long to wait with waiting ops in the queue and expected ones on
// their way.
func (g *gather) pause(waiting, expected int) time.Duration {
	pace := g.ops / max(g.secs, 1e-6) // a second
	if expected <= fewExpected || pace*longestPause.Seconds() < 2 {
		return 0
	}
	missing := min(wholeRound-waiting, expected)
	d := time.Duration(float64(missing) / pace * float64(time.Second))
	if d < shortestPause {
		return 0
	}
	return min(d, longestPause)
}

// took notes a round of n ops.
func (g *gather) took(n int, now time.Time) {
	if !g.last.IsZero() {
		g.ops = g.ops*roundFade + float64(n)
		g.secs = g.secs*roundFade + now.Sub(g.last).Seconds()
	}
	g.last = now
}

// sleep is time.Sleep to 60 us, where the runtime's timers may round up to a
// millisecond.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal ends it early, which does no harm
}
