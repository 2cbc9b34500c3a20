package smtpclient

import (
	"encoding/base64"
	"strings"

	"postrider/codec/smtp"
)

// maxCommand bounds the octets of a command line with its end (RFC 5321 section
// 4.5.3.1.4); an initial response that doesn't fit waits for a 334 (RFC 4954
// section 4).
const maxCommand = 512

// exchange has the responses that an AUTH exchange has still to send, in order, or the
// function that makes them.
type exchange struct {
	responses []string
	chosen    *Exchange
}

// authenticate logs in, if there are credentials.
func (s *Session) authenticate(e *Effects) {
	c := s.cfg.Auth
	switch {
	case s.cfg.Choose != nil:
		s.choose(e)
		return
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

// respond answers a 334. The text of a challenge is for people: "Username:".
func (s *Session) respond(r smtp.ReceivedReply, e *Effects) {
	if s.auth.chosen != nil {
		s.respondChosen(r, e)
		return
	}
	if len(s.auth.responses) == 0 {
		s.broken(s.outOfStep(r), e)
		return
	}
	e.Send = base64.StdEncoding.AppendEncode(e.Send, []byte(s.auth.responses[0]))
	e.Send = append(e.Send, "\r\n"...)
	s.auth.responses = s.auth.responses[1:]
}

// choose begins the exchange that the caller has chosen.
func (s *Session) choose(e *Effects) {
	x, err := s.cfg.Choose(s.offer.mechanisms)
	if err != nil {
		s.refused(s.own("4.7.0", err.Error(), ScopeHost), e)
		return
	}
	if x == nil {
		s.settled(e)
		return
	}
	s.auth.chosen = x
	e.Send = append(append(e.Send, "AUTH "...), x.Mechanism...)
	if n := base64.StdEncoding.EncodedLen(len(x.Initial)); n > 0 && len("AUTH  \r\n")+len(x.Mechanism)+n <= maxCommand {
		e.Send = base64.StdEncoding.AppendEncode(append(e.Send, ' '), x.Initial)
		x.Initial = nil
	}
	e.Send = append(e.Send, "\r\n"...)
	s.enter(authing)
}

// respondChosen answers a 334. When the exchange can't go on, the session ends:
// an exchange that is not complete proves nothing.
func (s *Session) respondChosen(r smtp.ReceivedReply, e *Effects) {
	x := s.auth.chosen
	response, err := x.Initial, error(nil)
	x.Initial = nil
	if len(response) == 0 {
		var challenge []byte
		if challenge, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(firstText(r)))); err == nil {
			response, err = x.Respond(challenge)
		}
	}
	if err != nil {
		s.broken(s.own("4.7.0", "AUTH "+x.Mechanism+": "+err.Error(), ScopeHost), e)
		return
	}
	e.Send = base64.StdEncoding.AppendEncode(e.Send, response)
	e.Send = append(e.Send, "\r\n"...)
}

// firstText is the text of a reply's first line.
func firstText(r smtp.ReceivedReply) []byte {
	for line := range r.Lines() {
		return line
	}
	return nil
}

// unproven reports whether the host accepts the login before it has proven what the
// exchange requires.
func (s *Session) unproven() bool { return s.auth.chosen != nil && !s.auth.chosen.Proven() }
