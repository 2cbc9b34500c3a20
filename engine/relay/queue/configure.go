package queue

import (
	"time"

	"postrider/engine/edge/limit"
)

// Configure replaces the Config. Jobs that no session has, and that have another next hop
// now, leave memory: their destinations are read again. What is known of sites stays. moved
// are destinations that sleep because of a dead site that is not their next hop any more: the
// caller wakes them.
func (s *Scheduler) Configure(cfg Config, now time.Time, e *Effects) (moved []string) {
	s.cfg = cfg
	s.slots.configure(&cfg)
	for _, st := range s.sites {
		used := st.bucket.Used(st.rate, now)
		s.bound(st)
		st.bucket = limit.Bucket{}
		st.bucket.Add(st.rate, min(used, float64(st.rate.Count)), now)
		s.release(st, now, e)
		moved = append(moved, s.leave(st)...)
	}
	for _, d := range s.domains {
		d.retry = time.Time{}
		s.refill(d, e)
	}
	for _, st := range s.sites {
		s.pump(st, now, e)
		s.forget(st, now)
	}
	s.serveWaiting(now, e)
	return moved
}

// Has reports whether a destination is awake.
func (s *Scheduler) Has(name string) bool { return s.domains[name] != nil }

// Destinations calls f for each destination that is awake.
func (s *Scheduler) Destinations(f func(name string)) {
	for name := range s.domains {
		f(name)
	}
}

// release takes the jobs out of memory that do not belong to the site any more. A destination
// without other jobs sleeps, and is due at once.
func (s *Scheduler) release(st *site, now time.Time, e *Effects) {
	var stay, gone []*Job
	for _, j := range st.jobs {
		if s.cfg.NextHop(j.domain.name, j.Entry.Envelope.ReversePath) == st.hop {
			stay = append(stay, j)
		} else {
			gone = append(gone, j)
		}
	}
	st.jobs = stay
	for _, j := range gone {
		d := j.domain
		d.back(j.Entry)
		d.retry, d.more = now, true
		s.drop(j, e)
	}
}

// leave returns the destinations that sleep because of the site, and have another next hop
// now.
func (s *Scheduler) leave(st *site) (moved []string) {
	stay := st.asleep[:0]
	for _, name := range st.asleep {
		if s.cfg.NextHop(name, "") == st.hop {
			stay = append(stay, name)
		} else {
			moved = append(moved, name)
		}
	}
	st.asleep = stay
	return moved
}
