package server

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// login answers what can be answered at once, and has the rest judged.
func (s *pop3Conn) login(q pop3d.Question) (pop3d.Answer, bool) {
	srv := s.srv
	if srv.draining.Load() {
		return pop3d.Answer{Verdict: pop3d.Shutdown}, true
	}
	claim := s.m.Claim()
	if claim.Need == sasl.NeedVerifier {
		return pop3d.Answer{Verdict: pop3d.Yes, Verifier: srv.door.Verifier(claim.User)}, true
	}
	if s.job == nil {
		s.job = &pop3Job{conn: s}
		s.job.judged = s.job.loginJudged
	}
	a := &s.job.attempt
	a.Claim, a.Timestamp, a.From, a.Protocol = claim, "", s.IP, login.POP3
	if q == pop3d.AskAPOP {
		a.Claim.User, a.Claim.Digest, a.Timestamp = s.m.User(), s.m.Digest(), s.m.Timestamp()
	}
	return s.judge()
}

// judge has the claim judged, for the first time or after its turn has come. The maildrop is
// opened in the pool that has hashed the password, or, if there was nothing to hash, in the
// one that reads: a client that polls does not wait for those that guess.
func (s *pop3Conn) judge() (pop3d.Answer, bool) {
	j := s.job
	j.begin(jobLogin)
	o, now := s.srv.door.Judge(&j.attempt, j.judged)
	if !now {
		return pop3d.Answer{}, false
	}
	if o.Verdict != login.Granted {
		j.busy = false
		return s.refuseLogin(o)
	}
	j.outcome = o
	if !s.srv.readers.Submit(j) {
		return pop3d.Answer{Verdict: pop3d.Temporary}, true
	}
	return pop3d.Answer{}, false
}

// loginJudged goes on with a login in the pool that has hashed its password.
func (j *pop3Job) loginJudged(o login.Outcome) {
	if j.outcome = o; o.Verdict == login.Granted {
		j.Work()
		return
	}
	j.conn.shard.loop.Post(j)
}

// openMaildrop locks the maildrop of an account and lists it. It runs in a pool.
func (srv *Server) openMaildrop(account storage.AccountID) (storage.Lock, *storage.Listing, error) {
	lock, err := srv.store.LockMaildrop(account)
	if err != nil {
		return nil, nil, err
	}
	if !srv.logins.allow(account, time.Now()) { // counts no login that another session refuses
		lock.Release()
		return nil, nil, errTooSoon
	}
	l, err := lock.List(srv.cfg.POP3.MaxListing)
	if err != nil {
		lock.Release()
		return nil, nil, err
	}
	return lock, l, nil
}

// waited goes on with a claim whose turn has come.
func (s *pop3Conn) waited() {
	s.Park()
	if a, now := s.judge(); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits for its turn, and says whether there was one.
func (s *pop3Conn) abandonLogin() bool {
	return s.job != nil && s.srv.door.Abandon(&s.job.attempt)
}

// refuseLogin is the answer to a login that is not granted, or its wait.
func (s *pop3Conn) refuseLogin(o login.Outcome) (pop3d.Answer, bool) {
	switch o.Verdict {
	case login.Denied:
		return s.hold(pop3d.Denied, o.Wait)
	case login.TooMany:
		return s.hold(pop3d.TooManyFailed, o.Wait)
	case login.Turn:
		s.WaitFor(conn.ForTurn, o.Wait)
		return pop3d.Answer{}, false
	}
	return pop3d.Answer{Verdict: pop3d.Temporary}, true
}

// hold keeps the verdict on a login that failed for as long as a failed login costs.
func (s *pop3Conn) hold(v pop3d.Verdict, wait time.Duration) (pop3d.Answer, bool) {
	if wait == 0 {
		return pop3d.Answer{Verdict: v}, true
	}
	s.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return pop3d.Answer{}, false
}

// loggedIn takes the maildrop that a login has opened, or refuses the login.
func (s *pop3Conn) loggedIn(j *pop3Job) {
	clear(j.attempt.Claim.Password)
	if j.outcome.Verdict != login.Granted {
		if a, now := s.refuseLogin(j.outcome); now {
			s.resume(a)
		}
		return
	}
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
		s.lock, s.user = j.lock, j.attempt.Claim.User
		s.srv.door.Stats.POP3.Add(1)
		s.LoggedIn()
	case errors.Is(j.err, storage.ErrInUse):
		v = pop3d.InUse
	case errors.Is(j.err, errTooSoon):
		v = pop3d.TooSoon
	default:
		s.srv.log.Fault("login of "+j.attempt.Claim.User, j.err)
		v = pop3d.Temporary
	}
	j.listing, j.lock = nil, nil
	s.resume(pop3d.Answer{Verdict: v, Listing: l})
}

// timestamp makes the unique part of an APOP greeting.
func (srv *Server) timestamp() string {
	return fmt.Sprintf("<%d.%d.%d@%s>", os.Getpid(), srv.greetings.Add(1), time.Now().UnixNano(), srv.cfg.Server.Hostname)
}

// loginTimes remembers when an account last logged in, for pop3.login_delay. It
// forgets what is older than the delay.
type loginTimes struct {
	delay time.Duration
	mu    sync.Mutex
	last  map[storage.AccountID]time.Time
	swept time.Time
}

// allow says whether the account may log in again, and books it when it may.
func (l *loginTimes) allow(a storage.AccountID, now time.Time) bool {
	if l.delay == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > l.delay {
		for id, at := range l.last {
			if now.Sub(at) >= l.delay {
				delete(l.last, id)
			}
		}
		l.swept = now
	}
	if at, ok := l.last[a]; ok && now.Sub(at) < l.delay {
		return false
	}
	l.last[a] = now
	return true
}
