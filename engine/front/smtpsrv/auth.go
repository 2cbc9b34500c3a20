package smtpsrv

import (
	"strings"
	"unicode"

	"postrider/codec/sasl"
	"postrider/codec/smtp"
	"postrider/engine/admit/login"
	"postrider/engine/admit/signin"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// auth is what a session has once AUTH was said: its login, and the task that brings an
// outcome from the pool to the loop.
type auth struct {
	signin.Login
	session  *session
	outcome  login.Outcome // on its way to the loop
	signedIn login.SignedIn
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
		a.Login = signin.New(service.door, a.judged)
		s.auth = a
	}
	if s.rules.Capture {
		return smtpd.Answer{Verdict: smtpd.Yes, Account: claimedName(claim.User)}, true
	}
	s.auth.Attempt.Claim, s.auth.Attempt.From = claim, s.IP
	return s.authenticated(s.auth.Judge(&s.Session))
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
	s.resumeAuth(a.Settle(&s.Session, a.outcome))
}

// resumeAuth answers AskAuth if there is a verdict.
func (s *session) resumeAuth(v login.Verdict, now bool) {
	if a, known := s.authenticated(v, now); known {
		s.resume(a)
	}
}

// authenticated is the answer that a verdict brings.
func (s *session) authenticated(v login.Verdict, now bool) (smtpd.Answer, bool) {
	if !now {
		return smtpd.Answer{}, false
	}
	verdict := smtpd.Failed
	switch v {
	case login.Granted:
		in := s.auth.Outcome.SignedIn
		s.auth.signedIn = in
		s.LoggedIn()
		return smtpd.Answer{Verdict: smtpd.Yes, Account: router.Mailbox(in.Account.Name, in.Account.Domain)}, true
	case login.Denied:
		verdict = smtpd.Denied
	case login.TooMany:
		verdict = smtpd.TooManyNow
	case login.Busy:
		verdict = smtpd.Busy
	}
	return smtpd.Answer{Verdict: verdict}, true
}

// abandonLogin gives up a claim that waits for its turn, and reports whether there was one.
func (s *session) abandonLogin() bool { return s.auth != nil && s.auth.Abandon() }

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
