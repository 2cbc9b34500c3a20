package smtpd

import "postrider/codec/smtp"

// Introduce sets the peer's name, which reverse DNS has given since Init.
func (s *Session) Introduce(name string) { s.peer.Name = name }

// TurnAway ends the session in place of Greet, or between two commands, with r,
// which is 421 or 554.
func (s *Session) TurnAway(r *smtp.Reply, e *Effects) {
	if s.phase == Closed {
		return
	}
	s.say(r, e)
	s.hangUp(e)
}

// Eager reports whether the peer has spoken out of turn: sent more after a command
// whose reply it had to read first (RFC 2920 section 3.1). Programs that send junk
// without reading do so. The result depends on how the network cuts the octets:
// true is reliable; false may be a miss.
func (s *Session) Eager() bool { return s.eager }

// clientTaken is the reply to XCLIENT: the greeting.
var clientTaken = greeting

// xclient is XCLIENT.
func (s *Session) xclient(arg []byte, e *Effects) {
	c, refused := smtp.ParseXclient(arg)
	if refused != nil {
		s.refuse(refused, e)
		return
	}
	s.client = &c
	s.ask(AskClient, e)
}

// Client is the client that AskClient asks about.
func (s *Session) Client() smtp.Client {
	if s.asking != AskClient {
		return smtp.Client{}
	}
	return *s.client
}

// answerClient makes the client that was named the peer, and begins again.
func (s *Session) answerClient(r *smtp.Reply, e *Effects) {
	c := s.client
	s.client = nil
	if r.Refuses() {
		s.turnDown(r, e)
		return
	}
	if c.Addr.IsValid() {
		s.peer.Addr, s.peer.Loopback, s.peer.Trusted = c.Addr.String(), c.Addr.IsLoopback(), false
	}
	if c.Name != "" {
		s.peer.Name = c.Name
	}
	s.helo, s.extended, s.verbose, s.login, s.eager = nil, false, false, nil, false
	s.counted(e)
	s.sayHost(r, e)
	s.enter(Connected)
	s.leave(e)
}
