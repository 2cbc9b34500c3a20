package engine

import (
	"errors"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/conn"
	"postrider/engine/pop3d"
	"postrider/storage"
)

// login answers what can be answered at once, and hands the rest to a pool: to the
// one that hashes, or, when the password is known to be right, to the one that
// reads. A client that polls doesn't stand behind those who guess.
func (s *pop3Conn) login(q pop3d.Question) (pop3d.Answer, bool) {
	srv := s.srv
	if srv.draining.Load() {
		return pop3d.Answer{Verdict: pop3d.Shutdown}, true
	}
	claim := s.m.Claim()
	if claim.Need == sasl.NeedVerifier {
		return pop3d.Answer{Verdict: pop3d.Yes, Verifier: srv.verifier(claim.User)}, true
	}
	if s.job == nil {
		s.job = &pop3Job{conn: s}
	}
	j := s.job
	j.begin(jobLogin)
	j.claim, j.asked, j.ruling, j.digest = claim, time.Now(), unclear, ""
	j.changes = srv.store.CredentialChanges()
	var wait time.Duration
	if q == pop3d.AskAPOP {
		j.claim.User, j.digest, j.timestamp = s.m.User(), s.m.Digest(), s.m.Timestamp()
	}
	j.account, j.ruling, wait = srv.consider(&j.claim, s.IP, &j.attempt)
	switch j.ruling {
	case throttled:
		j.busy, j.err = false, errDenied
		return s.refuseLogin(j)
	case slowed:
		j.busy = false
		s.WaitFor(conn.ForTurn, wait)
		return pop3d.Answer{}, false
	}
	return s.judge(j)
}

// judge finds out about a claim, and opens the maildrop: in the pool that hashes, or, where
// there is nothing to hash, in the one that reads.
func (s *pop3Conn) judge(j *pop3Job) (pop3d.Answer, bool) {
	srv := s.srv
	j.busy = true
	if j.ruling != granted && j.digest == "" && j.claim.Need != sasl.NeedPassword {
		j.account, j.err = srv.judge(&j.claim)
		if srv.settle(&j.attempt, j.err); j.err != nil {
			j.busy = false
			return s.refuseLogin(j)
		}
		j.ruling = granted
	}
	queued := false
	if j.ruling == granted || j.digest != "" {
		queued = srv.readers.Submit(j)
	} else {
		queued = srv.hash(j, s.IP)
	}
	if !queued {
		srv.settle(&j.attempt, errNotJudged)
		return pop3d.Answer{Verdict: pop3d.Temporary}, true
	}
	return pop3d.Answer{}, false
}

// waited goes on with a claim whose wait is over.
func (s *pop3Conn) waited() {
	j := s.job
	s.srv.door.guesses.waited(&j.attempt)
	j.ruling = unclear
	s.Park()
	if a, now := s.judge(j); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits to be judged, and says whether there was one.
func (s *pop3Conn) abandonLogin() bool {
	if s.job == nil || !s.job.attempt.waits {
		return false
	}
	s.srv.settle(&s.job.attempt, errNotJudged)
	return true
}

// refuseLogin makes a login that failed wait for its delay, however it failed.
func (s *pop3Conn) refuseLogin(j *pop3Job) (pop3d.Answer, bool) {
	srv := s.srv
	v := pop3d.Denied
	switch {
	case j.ruling == throttled:
		srv.stats.throttled.Add(1)
		v = pop3d.TooManyFailed
	case errors.Is(j.err, errDenied):
		srv.stats.denied.Add(1)
		srv.log.loginFailed(pop3Daemon, s.Addr, j.claim.Mechanism, j.claim.User)
	default:
		srv.log.fault("login of "+j.claim.User, j.err)
		return pop3d.Answer{Verdict: pop3d.Temporary}, true
	}
	wait := srv.failureDelay(j.asked)
	if wait <= 0 {
		return pop3d.Answer{Verdict: v}, true
	}
	s.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return pop3d.Answer{}, false
}

// loggedIn takes the maildrop that a login has opened, or makes a wrong
// password cost its delay.
func (s *pop3Conn) loggedIn(j *pop3Job) {
	s.srv.settle(&j.attempt, j.err)
	clear(j.claim.Password)
	v := pop3d.Yes
	var l *storage.Listing
	switch {
	case j.err == nil:
		l = j.listing
		if s.listing = int64(l.Len()) * listingOctets; !s.srv.budget.Listings.Reserve(s.listing) {
			s.srv.stats.overBudget.Add(1)
			s.listing = 0
			j.lock.Release()
			v, l = pop3d.Temporary, nil
			break
		}
		s.lock, s.user = j.lock, j.claim.User
		s.srv.stats.logins.Add(1)
		s.LoggedIn()
		if j.ruling == granted && j.claim.Need == sasl.NeedPassword {
			s.srv.stats.remembered.Add(1)
		}
	case errors.Is(j.err, storage.ErrInUse):
		v = pop3d.InUse
	case errors.Is(j.err, errTooSoon):
		v = pop3d.TooSoon
	default:
		a, now := s.refuseLogin(j)
		if !now {
			return
		}
		v = a.Verdict
	}
	j.listing, j.lock = nil, nil
	s.resume(pop3d.Answer{Verdict: v, Listing: l})
}
