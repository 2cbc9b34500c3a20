package smtpsrv

import (
	"postrider/engine/admit/screen"
	"postrider/engine/mail/incoming"
)

// hasRoomForCheck reports whether one more message of the client can be checked now, if it
// is to be checked.
func (s *session) hasRoomForCheck() bool {
	return !s.isUntrusted() || s.service.guard.HasRoomForCheck(s.IP, s.service.memory.OfStrangers().Tight())
}

// check begins the check of a message; nil: the client may relay, and its messages are not
// checked. Package incoming calls it while the message comes in, and among the last steps.
func (s *session) check() incoming.Check {
	guard := s.service.guard
	switch {
	case s.tx.MayRelay():
		return nil
	case !s.isUntrusted():
		return guard.Unverified()
	}
	return guard.Begin(screen.Envelope{
		IP: s.IP, Helo: string(s.m.Helo()), Sender: string(s.tx.Reverse),
		Name: s.Name, Addr: s.Addr, Client: &s.untrusted.facts,
	})
}
