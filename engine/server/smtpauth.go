package server

import (
	"crypto/rand"
	"time"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// smtpLogin is what a connection has once AUTH was said: the claim that is judged, and the
// task that brings the outcome back to the loop.
type smtpLogin struct {
	conn     *smtpConn
	attempt  login.Attempt
	outcome  login.Outcome       // of the attempt, on its way to the loop
	done     func(login.Outcome) // judged, made once
	signedIn login.SignedIn
	held     smtpd.Verdict // that waits for the delay of a failed login
}

// nonce makes fresh random text for a challenge.
func nonce() string { return rand.Text() }

// authenticate answers AskAuth: at once, or when the pool has hashed.
func (s *smtpConn) authenticate() (smtpd.Answer, bool) {
	srv := s.srv
	if srv.draining.Load() {
		return smtpd.Answer{Verdict: smtpd.Shutdown}, true
	}
	claim := s.m.Claim()
	if claim.Need == sasl.NeedVerifier {
		return smtpd.Answer{Verdict: smtpd.Yes, Verifier: srv.door.Verifier(claim.User)}, true
	}
	if s.login == nil {
		l := &smtpLogin{conn: s}
		l.done = l.judged
		s.login = l
	}
	if srv.capture != 0 {
		return smtpd.Answer{Verdict: smtpd.Yes, Account: anybody(claim.User)}, true
	}
	s.login.attempt.Claim, s.login.attempt.From = claim, s.IP
	return s.judge()
}

// judge has the claim judged, for the first time or after its turn has come.
func (s *smtpConn) judge() (smtpd.Answer, bool) {
	if o, now := s.srv.door.Judge(&s.login.attempt, s.login.done); now {
		return s.authenticated(o)
	}
	return smtpd.Answer{}, false
}

// authenticated is the answer that an outcome brings.
func (s *smtpConn) authenticated(o login.Outcome) (smtpd.Answer, bool) {
	switch o.Verdict {
	case login.Granted:
		s.login.signedIn = o.SignedIn
		s.LoggedIn()
		return smtpd.Answer{Verdict: smtpd.Yes, Account: router.Mailbox(o.Account.Name, o.Account.Domain)}, true
	case login.Denied:
		return s.hold(smtpd.Denied, o.Wait)
	case login.TooMany:
		return s.hold(smtpd.TooManyNow, o.Wait)
	case login.Turn:
		s.WaitFor(conn.ForTurn, o.Wait)
		return smtpd.Answer{}, false
	case login.Busy:
		return smtpd.Answer{Verdict: smtpd.Busy}, true
	}
	return smtpd.Answer{Verdict: smtpd.Failed}, true
}

// hold keeps the verdict on a login that failed for as long as a failed login costs.
func (s *smtpConn) hold(v smtpd.Verdict, wait time.Duration) (smtpd.Answer, bool) {
	if wait == 0 {
		return smtpd.Answer{Verdict: v}, true
	}
	s.login.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return smtpd.Answer{}, false
}

// waited goes on with a claim whose turn has come.
func (s *smtpConn) waited() {
	s.Park()
	if a, now := s.judge(); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits for its turn, and says whether there was one.
func (s *smtpConn) abandonLogin() bool {
	return s.login != nil && s.srv.door.Abandon(&s.login.attempt)
}

// judged brings an outcome from the pool to the loop.
func (l *smtpLogin) judged(o login.Outcome) {
	l.outcome = o
	l.conn.shard.loop.Post(l)
}

// Run implements loop.Task: the outcome is back on the session's loop.
func (l *smtpLogin) Run() {
	s := l.conn
	if !s.Conn.Alive() {
		return
	}
	if a, now := s.authenticated(l.outcome); now {
		s.resume(a)
	}
}
