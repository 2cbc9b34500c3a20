package queue

import (
	"time"

	"postrider/engine/mail/router"
)

// Sessions are scarce, and an untrusted client can make us connect to hosts of its own
// that are as slow as their deadlines let them be. So a site is known or strange: known
// when the operator named it, or when it took part in a delivery that was not slow.
// Strange sites, and sessions that are at one message for longer than slowAfter, share
// Config.Strange sessions; the rest is always there for mail to known sites.

// slowAfter is from when on a session with one message is slow.
const slowAfter = time.Minute

// maxKnown bounds the sites that are remembered as known.
const maxKnown = 20_000

// slots tells which sites have which sessions.
type slots struct {
	most    int // limit of strange sessions
	named   func(router.Hop) bool
	known   map[router.Hop]struct{}
	strange int // sessions

	oldest, newest *Session // at a message and not strange, in the order in which they began with it
}

// slot is what slots keeps in a session.
type slot struct {
	strange        bool
	working        bool // in the list from oldest to newest
	began          time.Time
	earlier, later *Session
}

func newSlots(cfg *Config) slots {
	s := slots{known: make(map[router.Hop]struct{})}
	s.configure(cfg)
	return s
}

// configure sets what comes from the configuration.
func (s *slots) configure(cfg *Config) {
	s.most, s.named = cfg.Strange, cfg.Named
	if s.most == 0 {
		s.most = cfg.Sessions
	}
	if s.named == nil {
		s.named = func(router.Hop) bool { return false }
	}
}

// isKnown reports whether a site may have any session.
func (s *slots) isKnown(hop router.Hop) bool {
	_, known := s.known[hop]
	return known || hop.Kind == router.Maildrop || hop.Kind == router.Refused || s.named(hop)
}

// hasStrange reports whether there is a session for a strange site.
func (s *slots) hasStrange(now time.Time) bool {
	for s.oldest != nil && now.Sub(s.oldest.began) >= slowAfter {
		slow := s.oldest
		s.unlink(slow)
		slow.strange = true
		s.strange++
	}
	return s.strange < s.most
}

// hasRoom reports whether a site may begin a session.
func (s *slots) hasRoom(hop router.Hop, now time.Time) bool {
	return s.isKnown(hop) || s.hasStrange(now)
}

// begin counts a new session in.
func (s *slots) begin(session *Session) {
	if session.strange = !s.isKnown(session.site.hop); session.strange {
		s.strange++
	}
}

// work reports that a session begins with a message.
func (s *slots) work(session *Session, now time.Time) {
	session.began = now
	if session.strange {
		return
	}
	session.working = true
	if session.earlier = s.newest; s.newest == nil {
		s.oldest = session
	} else {
		s.newest.later = session
	}
	s.newest = session
}

// finish takes in how it went with a message.
func (s *slots) finish(session *Session, v HostVerdict, now time.Time) {
	s.unlink(session)
	hop := session.site.hop
	switch slow := now.Sub(session.began) >= slowAfter; {
	case slow:
		delete(s.known, hop)
	case v == HostOK || v == HostDone:
		s.remember(hop)
		if session.strange {
			session.strange = false
			s.strange--
		}
	}
}

// remember makes a site known. When there are too many, some others are forgotten.
func (s *slots) remember(hop router.Hop) {
	if _, has := s.known[hop]; !has && len(s.known) >= maxKnown {
		for other := range s.known {
			delete(s.known, other)
			break
		}
	}
	s.known[hop] = struct{}{}
}

// end counts a session out.
func (s *slots) end(session *Session) {
	s.unlink(session)
	if session.strange {
		session.strange = false
		s.strange--
	}
}

func (s *slots) unlink(session *Session) {
	if !session.working {
		return
	}
	if session.earlier == nil {
		s.oldest = session.later
	} else {
		session.earlier.later = session.later
	}
	if session.later == nil {
		s.newest = session.earlier
	} else {
		session.later.earlier = session.earlier
	}
	session.working, session.earlier, session.later = false, nil, nil
}
