package pop3srv

import (
	"errors"
	"log/slog"

	"postrider/engine/host/maillog"
	"postrider/storage"
)

// logEnd writes the last line of a session, in the shape of Dovecot's.
func (s *session) logEnd(err error) {
	l := s.service.log
	if !s.Logs() {
		return
	}
	why := maillog.Lost(s.Reason, err, s.Closing)
	if why == "" {
		why = "Logged out"
	}
	user := ""
	if s.maildrop != nil {
		user = s.maildrop.user
	}
	l.Info("Disconnected: "+why+" "+string(s.machine.Counts().AppendTo(nil)), maillog.POP3D,
		slog.String("user", "<"+user+">"), slog.String("rip", s.Addr))
}

// fault logs a failure of the store. A maildrop that was lost with its account is none: the
// session ends with its next command.
func (s *session) fault(what string, err error) {
	if !errors.Is(err, storage.ErrFenced) {
		s.service.log.Fault(what, err)
	}
}
