package smtpclient

import (
	"encoding/base64"

	"postrider/codec/smtp"
)

// maxCommand is the most octets of a command line with its end (RFC 5321 section
// 4.5.3.1.4); an initial response that doesn't fit waits for a 334 (RFC 4954
// section 4).
const maxCommand = 512

// exchange is what is still to be told in an AUTH exchange, in its order.
type exchange struct{ responses []string }

// authenticate says who we are, if we are anybody.
func (s *Session) authenticate(e *Effects) {
	c := s.cfg.Auth
	switch {
	case c == nil:
		s.settled(e)
		return
	case s.offer.plain:
		response := "\x00" + c.User + "\x00" + c.Password
		e.Send = append(e.Send, "AUTH PLAIN"...)
		if base64.StdEncoding.EncodedLen(len(response))+len("AUTH PLAIN \r\n") <= maxCommand {
			e.Send = base64.StdEncoding.AppendEncode(append(e.Send, ' '), []byte(response))
		} else {
			s.auth.responses = []string{response}
		}
	case s.offer.login:
		e.Send = append(e.Send, "AUTH LOGIN"...)
		s.auth.responses = []string{c.User, c.Password}
	default:
		s.refused(s.own("4.7.0", "the host offers neither AUTH PLAIN nor AUTH LOGIN, and a password is set for it", ScopeHost), e)
		return
	}
	e.Send = append(e.Send, "\r\n"...)
	s.enter(authing)
}

// respond answers a 334. What a challenge says is for people: "Username:".
func (s *Session) respond(r smtp.ReceivedReply, e *Effects) {
	if len(s.auth.responses) == 0 {
		s.broken(s.outOfStep(r), e)
		return
	}
	e.Send = base64.StdEncoding.AppendEncode(e.Send, []byte(s.auth.responses[0]))
	e.Send = append(e.Send, "\r\n"...)
	s.auth.responses = s.auth.responses[1:]
}
