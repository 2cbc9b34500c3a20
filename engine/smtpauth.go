package engine

import (
	"errors"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/conn"
	"postrider/engine/router"
	"postrider/engine/smtpd"
)

// smtpLogin is what a connection has once AUTH was said: the claim that is being
// looked at, and the task that brings the outcome back to the loop.
type smtpLogin struct {
	conn  *smtpConn
	claim sasl.Claim
	asked time.Time
	busy  bool // between submit and Run
	signedIn
	attempt
	err  error
	held smtpd.Verdict // that waits for the delay of a failed login
}

// authenticate answers AskAuth: at once, or by way of the pool that hashes.
func (s *smtpConn) authenticate() (smtpd.Answer, bool) {
	srv := s.srv
	if srv.draining.Load() {
		return smtpd.Answer{Verdict: smtpd.Shutdown}, true
	}
	claim := s.m.Claim()
	if claim.Need == sasl.NeedVerifier {
		return smtpd.Answer{Verdict: smtpd.Yes, Verifier: srv.verifier(claim.User)}, true
	}
	if s.login == nil {
		s.login = &smtpLogin{conn: s}
	}
	if srv.capture != 0 {
		return smtpd.Answer{Verdict: smtpd.Yes, Account: anybody(claim.User)}, true
	}
	l := s.login
	l.claim, l.asked, l.changes = claim, time.Now(), srv.store.CredentialChanges()
	var r ruling
	var wait time.Duration
	l.account, r, wait = srv.consider(&l.claim, s.IP, &l.attempt)
	l.err = nil
	switch r {
	case granted:
		srv.stats.remembered.Add(1)
		return s.authenticated()
	case throttled:
		srv.stats.throttled.Add(1)
		return s.hold(smtpd.TooManyNow)
	case slowed:
		s.WaitFor(conn.ForTurn, wait)
		return smtpd.Answer{}, false
	}
	return s.judge()
}

// judge finds out about a claim that is unclear: at once, or in the pool that hashes.
func (s *smtpConn) judge() (smtpd.Answer, bool) {
	srv, l := s.srv, s.login
	if l.claim.Need != sasl.NeedPassword {
		l.account, l.err = srv.judge(&l.claim)
		srv.settle(&l.attempt, l.err)
		return s.authenticated()
	}
	l.busy = true
	if !srv.hash(l, s.IP) {
		srv.settle(&l.attempt, errNotJudged)
		return smtpd.Answer{Verdict: smtpd.Busy}, true
	}
	return smtpd.Answer{}, false
}

// authenticated is the answer that the outcome in s.login brings.
func (s *smtpConn) authenticated() (smtpd.Answer, bool) {
	l := s.login
	switch {
	case l.err == nil:
		s.srv.stats.authenticated.Add(1)
		s.LoggedIn()
		return smtpd.Answer{Verdict: smtpd.Yes, Account: router.Mailbox(l.account.Name, l.account.Domain)}, true
	case errors.Is(l.err, errDenied):
		s.srv.stats.denied.Add(1)
		s.srv.log.loginFailed(smtpDaemon, s.Addr, l.claim.Mechanism, l.claim.User)
		return s.hold(smtpd.Denied)
	}
	s.srv.log.fault("login of "+l.claim.User, l.err)
	return smtpd.Answer{Verdict: smtpd.Failed}, true
}

// hold keeps the verdict on a login that failed for as long as a failed login costs.
func (s *smtpConn) hold(v smtpd.Verdict) (smtpd.Answer, bool) {
	wait := s.srv.failureDelay(s.login.asked)
	if wait <= 0 {
		return smtpd.Answer{Verdict: v}, true
	}
	s.login.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return smtpd.Answer{}, false
}

// waited goes on with a claim that had to wait.
func (s *smtpConn) waited() {
	s.srv.door.guesses.waited(&s.login.attempt)
	s.Park()
	if a, now := s.judge(); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits to be judged, and says whether there was one.
func (s *smtpConn) abandonLogin() bool {
	if s.login == nil || !s.login.attempt.waits {
		return false
	}
	s.srv.settle(&s.login.attempt, errNotJudged)
	return true
}

// Work implements conn.Job: it runs on a goroutine of the pool that hashes.
func (l *smtpLogin) Work() {
	srv := l.conn.srv
	defer l.conn.shard.loop.Post(l)
	defer func() {
		if p := recover(); p != nil {
			l.err = srv.log.panicked("SMTP login", p)
		}
	}()
	l.account, l.err = srv.judge(&l.claim)
}

// Unqueued implements conn.Job.
func (l *smtpLogin) Unqueued() { l.busy = false }

// Run implements loop.Task: the outcome is back on the session's loop.
func (l *smtpLogin) Run() {
	l.busy = false
	s := l.conn
	s.srv.settle(&l.attempt, l.err)
	if !s.Conn.Alive() {
		return
	}
	if a, now := s.authenticated(); now {
		s.resume(a)
	}
}
