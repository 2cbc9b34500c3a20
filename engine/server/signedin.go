package server

import (
	"errors"
	"fmt"

	"postrider/codec/smtp"
	"postrider/engine/front/web"
	"postrider/storage"
)

// A session that has logged in is let in by the password that the account had then. When
// it has another one, or is gone, the session ends before its next command; a message
// whose end comes after that is not taken. Web sessions look at the account at each
// request.

// loginIsOver says whether the session was let in by what does not hold any more.
func (s *smtpConn) loginIsOver() bool {
	return s.login != nil && s.m.Account() != "" && s.login.signedIn.Account.ID != 0 && !s.srv.door.StillHolds(&s.login.signedIn)
}

// loginEnds tells the machine before its next command if the login is over.
func (s *smtpConn) loginEnds() {
	if s.m.InData() || !s.loginIsOver() {
		return
	}
	s.Reason = credentialsChanged
	s.m.Expire(&s.shard.smtp)
	s.CarryOut()
}

// credentialsChanged is why a session ends, for the log.
const credentialsChanged = "the account has another password or is gone"

// refusesMessage is what is said to the end of a message that is not taken; nil: it is.
func (s *smtpConn) refusesMessage() *smtp.Reply {
	if r := s.refusesExpired(); r != nil {
		return r
	}
	if r := s.outOfTurn(); r != nil {
		return r
	}
	if !s.tx.IsOpen() {
		s.tx.openDraft(s) // a message without an octet
	}
	return s.tx.EndHeader()
}

// refusesExpired is what is said to the end of a message when the login is over.
func (s *smtpConn) refusesExpired() *smtp.Reply {
	if !s.loginIsOver() {
		return nil
	}
	s.Reason = credentialsChanged
	return &smtp.Reply{Code: 421, Enhanced: "4.7.0",
		Text: s.config.Hostname + " the message is not taken: the account of this session has another password or is gone, sign in again"}
}

// loginEnds: see that of smtpConn. The maildrop is given back, and what was marked as
// deleted stays.
func (s *pop3Conn) loginEnds() bool {
	if s.lock == nil || s.srv.door.StillHolds(&s.job.outcome.SignedIn) {
		return false
	}
	s.Reason = credentialsChanged
	s.m.Expire(&s.shard.pop3)
	s.CarryOut()
	return true
}

// fault logs a failure of the store. That the maildrop was lost with its account is none:
// the session ends with its next command.
func (s *pop3Conn) fault(what string, err error) {
	if !errors.Is(err, storage.ErrFenced) {
		s.srv.log.Fault(what, err)
	}
}

// errExpired is what the web client tells when the password was changed while a message
// was on its way.
var errExpired = fmt.Errorf("%w: your password was changed; sign in again", web.ErrRefused)
