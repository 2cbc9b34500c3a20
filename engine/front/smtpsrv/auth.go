package smtpsrv

import (
	"strings"
	"time"
	"unicode"

	"postrider/codec/sasl"
	"postrider/codec/smtp"
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// auth is what a session has once AUTH was said: the claim that is judged, and the task
// that brings the outcome back to the loop.
type auth struct {
	session  *session
	attempt  login.Attempt
	outcome  login.Outcome       // the attempt's, on its way to the loop
	done     func(login.Outcome) // judged, made once
	signedIn login.SignedIn
	held     smtpd.Verdict // on a login that has failed, until its delay is over
}

// authenticate answers AskAuth: at once, or after the pool has hashed the password.
func (s *session) authenticate() (smtpd.Answer, bool) {
	service := s.service
	if service.draining() {
		return smtpd.Answer{Verdict: smtpd.Shutdown}, true
	}
	claim := s.m.Claim()
	if claim.Need == sasl.NeedVerifier {
		return smtpd.Answer{Verdict: smtpd.Yes, Verifier: service.door.Verifier(claim.User)}, true
	}
	if s.auth == nil {
		a := &auth{session: s}
		a.done = a.judged
		s.auth = a
	}
	if s.rules.Capture {
		return smtpd.Answer{Verdict: smtpd.Yes, Account: claimedName(claim.User)}, true
	}
	s.auth.attempt.Claim, s.auth.attempt.From = claim, s.IP
	return s.judge()
}

// judge has the claim judged, for the first time or after its turn has come.
func (s *session) judge() (smtpd.Answer, bool) {
	if o, now := s.service.door.Judge(&s.auth.attempt, s.auth.done); now {
		return s.authenticated(o)
	}
	return smtpd.Answer{}, false
}

// judged brings an outcome from the pool to the loop.
func (a *auth) judged(o login.Outcome) {
	a.outcome = o
	a.session.state.Post(a)
}

// Run implements loop.Task: the outcome is back on the session's loop.
func (a *auth) Run() {
	s := a.session
	if !s.Conn.Alive() {
		return
	}
	if a, now := s.authenticated(a.outcome); now {
		s.resume(a)
	}
}

// authenticated is the answer that an outcome brings.
func (s *session) authenticated(o login.Outcome) (smtpd.Answer, bool) {
	switch o.Verdict {
	case login.Granted:
		s.auth.signedIn = o.SignedIn
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

// hold keeps the verdict on a login that has failed until its delay is over.
func (s *session) hold(v smtpd.Verdict, wait time.Duration) (smtpd.Answer, bool) {
	if wait == 0 {
		return smtpd.Answer{Verdict: v}, true
	}
	s.auth.held = v
	s.WaitFor(conn.ForPenalty, wait)
	return smtpd.Answer{}, false
}

// judgeAgain has a claim judged whose turn has come.
func (s *session) judgeAgain() {
	s.Park()
	if a, now := s.judge(); now {
		s.resume(a)
	}
}

// abandonLogin gives up a claim that waits for its turn, and reports whether there was one.
func (s *session) abandonLogin() bool {
	return s.auth != nil && s.service.door.Abandon(&s.auth.attempt)
}

// account is the account that has logged in; 0: none.
func (s *session) account() storage.AccountID {
	if s.m.Account() == "" {
		return 0
	}
	return s.auth.signedIn.Account.ID
}

// claimedName is the account that a client names in capture mode, for logs and replies.
func claimedName(user string) string {
	user = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, user)
	if user == "" {
		return "nobody"
	}
	return user[:min(len(user), 255)]
}

// A login lasts as long as the password that the account had then. After a change of the
// password, or when the account is gone, the session ends before its next command, and a
// message whose end comes after that is refused.

// loginIsOver reports whether the session has logged in by credentials that are not valid
// any more.
func (s *session) loginIsOver() bool {
	return s.account() != 0 && !s.service.door.StillHolds(&s.auth.signedIn)
}

// loginEnds tells the machine before its next command if the login is over.
func (s *session) loginEnds() {
	if s.m.InData() || !s.loginIsOver() {
		return
	}
	s.Reason = login.Changed
	s.m.Expire(&s.state.effects)
	s.CarryOut()
}

// refusesExpired is the reply to the end of a message when the login is over; nil: it is
// not.
func (s *session) refusesExpired() *smtp.Reply {
	if !s.loginIsOver() {
		return nil
	}
	s.Reason = login.Changed
	return &smtp.Reply{Code: 421, Enhanced: "4.7.0", Reason: smtp.LoginOver, Text: s.rules.Machine.Hostname +
		" the message is not taken: the account of this session has another password or is gone, sign in again"}
}
