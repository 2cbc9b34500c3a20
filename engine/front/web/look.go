package web

import (
	"net/http"
	"slices"
	"time"

	"postrider/engine/edge/conn"
)

// Look returns the sessions that are selected, and the requests under way that belong to
// none.
func (a *Activity) Look(sel conn.Selection) (found []conn.Facts) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, s := range a.selected(sel, now) {
		found = append(found, s.facts(now))
	}
	for q := range a.open {
		if f := q.facts(); q.session == nil && sel.Fits(&f) {
			found = append(found, f)
		}
	}
	return found
}

// selected are the sessions that are selected, with the octets of their requests. a.mu is
// held.
func (a *Activity) selected(sel conn.Selection, now time.Time) (found []*session) {
	ss := a.sessions
	if ss == nil {
		return nil
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.all {
		if s.id == 0 { // it was made just now
			s.id = a.newID()
		}
		s.state, s.inNow, s.outNow = "IDLE", s.in, s.out
	}
	for q := range a.open {
		if s := q.session; s != nil {
			s.state, s.inNow, s.outNow = q.method, s.inNow+q.in.Load(), s.outNow+q.out.Load()
		}
	}
	for _, s := range ss.all {
		if f := s.facts(now); !ss.over(s, now) && sel.Fits(&f) {
			found = append(found, s)
		}
	}
	return found
}

// End signs out the sessions that are selected, and ends their requests that may be long, as
// downloads are, and the selected requests that belong to no session. A request that changes
// something, as the sending of a message does, may go on to its end; now: it may not. It
// returns how many sessions and requests it has told to end.
func (a *Activity) End(sel conn.Selection, now bool) (told int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gone := a.selected(sel, time.Now())
	for q := range a.open {
		ends := now || q.isReading()
		if q.session != nil {
			ends = ends && slices.Contains(gone, q.session)
		} else if f := q.facts(); ends {
			if ends = sel.Fits(&f) && !q.cut; ends {
				told++
			}
		}
		if ends {
			q.end()
		}
	}
	if ss := a.sessions; ss != nil {
		ss.kick(gone)
	}
	return told + len(gone)
}

// isReading reports whether a request changes nothing.
func (q *request) isReading() bool { return q.method == http.MethodGet || q.method == http.MethodHead }

// end ends a request at once: what it waits for, and what it reads or writes. It is in
// Activity.open, so its handler has not returned. Activity.mu is held.
func (q *request) end() {
	q.cut = true
	q.cancel()
	q.times.Lock()
	defer q.times.Unlock()
	q.past.Store(true)
	past := time.Unix(1, 0)
	_ = q.turn.SetReadDeadline(past) // not every writer knows deadlines
	_ = q.turn.SetWriteDeadline(past)
}

// kick ends sessions: what is uploaded for them goes when their last request has ended.
func (ss *sessions) kick(gone []*session) {
	ss.mu.Lock()
	var over []*session
	for key, s := range ss.all {
		if slices.Contains(gone, s) {
			delete(ss.all, key)
			s.kicked = true
			if s.running == 0 {
				over = append(over, s)
			}
		}
	}
	ss.mu.Unlock()
	go ss.end(over) // which removes files
}

// facts describes a session. sessions.mu is held, or Activity.mu while the session is found.
func (s *session) facts(now time.Time) conn.Facts {
	return conn.Facts{
		ID: s.id, Protocol: "web", Client: s.from, Name: "unknown", Account: s.name(), State: s.state, TLS: s.tls,
		Seconds: int64(now.Sub(s.began) / time.Second), Idle: int64(now.Sub(s.lastAt) / time.Second), Last: s.last,
		Requests: s.requests, In: s.inNow, Out: s.outNow,
	}
}

// Follow has a trace show the requests that it selects, until stop is called.
func (a *Activity) Follow(sel conn.Selection, feed *conn.Feed) (stop func()) {
	t := &follow{sel: sel, feed: feed, met: make(map[uint64]bool)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.follows = append(a.follows, t)
	for q := range a.open {
		if q.session != nil || q.status.Load() != 0 { // else it is told when that is known
			q.tell()
		}
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.follows = slices.DeleteFunc(a.follows, func(other *follow) bool { return other == t })
		for q := range a.open {
			q.by = slices.DeleteFunc(q.by, func(other *follow) bool { return other == t })
		}
	}
}
