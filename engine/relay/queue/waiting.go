package queue

import "time"

// lines are the sites that wait for a session, the known ones and the strange ones
// apart; in each the first that came is served first, and the lines take turns.
type lines struct {
	known, strange []*site
	turn           bool // it is the turn of the strange ones
}

func (l *lines) empty() bool { return len(l.known)+len(l.strange) == 0 }

func (l *lines) add(st *site, strange bool) {
	if strange {
		l.strange = append(l.strange, st)
		return
	}
	l.known = append(l.known, st)
}

// next takes the site that is served now; nil: there is none. strange: strange ones may
// have a session.
func (l *lines) next(strange bool) *site {
	strange = strange && len(l.strange) > 0
	from := &l.known
	if strange && (l.turn || len(l.known) == 0) {
		from = &l.strange
	}
	if len(*from) == 0 {
		return nil
	}
	l.turn = from == &l.known
	st := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return st
}

// whyWaits returns why a site has no session.
func (s *Scheduler) whyWaits(st *site) string {
	switch {
	case !st.waiting:
		return ""
	case s.sessions < s.cfg.Sessions:
		return "all connections for hosts that are slow or not known yet are in use (three quarters of relay.connections)"
	}
	return "all connections are in use (relay.connections)"
}

// hasSlot reports whether a site may begin one more session, as far as the others leave
// it one.
func (s *Scheduler) hasSlot(st *site, now time.Time) bool {
	return s.sessions < s.cfg.Sessions && s.slots.hasRoom(st.hop, now)
}

// start begins a session of a site.
func (s *Scheduler) start(st *site, now time.Time, e *Effects) {
	s.sessions++
	st.active++
	session := &Session{site: st}
	s.slots.begin(session)
	e.Start = append(e.Start, Assignment{session, s.next(st, session, now)})
}

// next takes the site's next job for a session.
func (s *Scheduler) next(st *site, session *Session, now time.Time) *Job {
	s.slots.work(session, now)
	return st.next(session)
}

// await queues a site for a session, and ends one that another site keeps idle.
func (s *Scheduler) await(st *site, e *Effects) {
	if st.waiting {
		return
	}
	s.enqueue(st)
	if s.idle == 0 || s.sessions < s.cfg.Sessions {
		return
	}
	for _, other := range s.sites {
		if session := s.wakeIdle(other); session != nil {
			e.Close = append(e.Close, session)
			return
		}
	}
}

// serveWaiting gives free sessions to the sites that wait for one.
func (s *Scheduler) serveWaiting(now time.Time, e *Effects) {
	for s.sessions < s.cfg.Sessions {
		st := s.waiting.next(s.slots.hasStrange(now))
		if st == nil {
			return
		}
		st.waiting = false
		if !s.hasSlot(st, now) { // it is not known any more
			s.enqueue(st)
			continue
		}
		// One session a turn, so that a site with much mail does not take all.
		s.pumpOne(st, now, e)
		if len(st.jobs) > 0 && st.active < st.room() && !st.dead(now) && !st.slowed && !st.waiting {
			s.enqueue(st)
		}
	}
}

// enqueue has a site wait for a session.
func (s *Scheduler) enqueue(st *site) {
	st.waiting = true
	s.waiting.add(st, !s.slots.isKnown(st.hop))
}

// pumpOne starts one session of a site, if it may have one.
func (s *Scheduler) pumpOne(st *site, now time.Time, e *Effects) {
	if len(st.jobs) == 0 || st.dead(now) || st.active >= st.room() {
		return
	}
	if !st.bucket.Take(st.rate, now) {
		s.slow(st)
		return
	}
	s.start(st, now, e)
}
