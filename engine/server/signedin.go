package server

import (
	"errors"

	"postrider/storage"
)

// A session that has logged in is let in by the password that the account had then. When
// it has another one, or is gone, the session ends before its next command.

// credentialsChanged is why a session ends, for the log.
const credentialsChanged = "the account has another password or is gone"

// loginEnds tells the machine before its next command if the login is over. The maildrop is
// given back, and what was marked as deleted stays.
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
