package queue

import (
	"time"

	"postrider/engine/edge/limit"
	"postrider/engine/mail/router"
)

// site is a next hop that has jobs, sessions, or a state to be remembered.
type site struct {
	hop     router.Hop
	jobs    []*Job // in the order in which they were loaded
	active  int    // sessions
	idle    []*Session
	window  float64 // sessions that it may have now
	most    float64 // the bound of window
	rate    limit.Rate
	bucket  limit.Bucket // tokens of rate
	waiting bool         // in Scheduler.waiting: it wants a session, and there is none
	slowed  bool         // in Scheduler.slowed: its rate limit has run out

	failed   float64 // failures since the last success, in windows
	deaths   int     // in a row
	deadTill time.Time
	why      Fault // cause of the death
	asleep   []string
}

// maxAsleep bounds the destinations that a dead site remembers to wake early.
const maxAsleep = 1000

// dead reports whether nothing is to be sent there. Once its time has come a site is
// probed.
func (s *site) dead(now time.Time) bool { return now.Before(s.deadTill) }

// probing reports whether the site has died and has not been reached since.
func (s *site) probing() bool { return s.deaths > 0 }

// room is how many sessions the site may have now.
func (s *site) room() int {
	if s.probing() {
		return 1
	}
	return max(int(s.window), 1)
}

// succeeded notes that the host took part in a delivery to its end, whatever it
// replied to the message.
func (s *site) succeeded(initial float64) {
	if s.probing() {
		s.window = min(initial, s.most)
	} else {
		s.window = min(s.window+1/s.window, s.most)
	}
	s.failed, s.deaths, s.deadTill, s.why = 0, 0, time.Time{}, Fault{}
}

// failedOnce notes a failure of the host and reports whether that was its death.
func (s *site) failedOnce() bool {
	s.failed += 1 / s.window
	s.window = max(s.window-1/s.window, 1)
	// Failures of a window that is full of successes otherwise are its bound: a
	// peer that takes so many connections from us and no more.
	return s.probing() || s.failed > 0.999
}
