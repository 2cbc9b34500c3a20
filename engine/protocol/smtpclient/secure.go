package smtpclient

import "postrider/codec/smtp"

// TLS is the policy of a session for STARTTLS (RFC 3207).
type TLS uint8

// The ways to go about it.
const (
	TLSNone TLS = iota // never ask for it
	TLSMay             // where it is offered; without it, go on in clear text
	TLSMust            // without it no mail is sent
)

// secure sends STARTTLS, if TLS is to be used and is not yet, or else logs in.
func (s *Session) secure(e *Effects) {
	switch {
	case s.secured || s.cfg.TLS == TLSNone:
	case s.offer.startTLS:
		e.Send = append(e.Send, "STARTTLS\r\n"...)
		s.enter(encrypting)
		return
	case s.cfg.TLS == TLSMust:
		s.refused(s.own("4.7.4", "TLS is required, but was not offered by the host", ScopeHost), e)
		return
	}
	s.authenticate(e)
}

// answerSTARTTLS takes the reply to STARTTLS. A session that can do without TLS
// goes on without it: the refusal is about TLS, not about the mail.
func (s *Session) answerSTARTTLS(r smtp.ReceivedReply, class int, e *Effects) {
	switch {
	case class == 2:
		s.enter(securing)
		e.StartTLS = true
	case s.cfg.TLS == TLSMust:
		s.refused(s.own("4.7.4", "TLS is required, but the host refused to start it: "+s.text(r), ScopeHost), e)
	default:
		s.declined = true
		s.authenticate(e)
	}
}

// TLSDeclined reports whether the host offered STARTTLS and refused it, and the session
// went on in clear text.
func (s *Session) TLSDeclined() bool { return s.declined }

// BrokeAtSTARTTLS reports whether the session ended because of STARTTLS: the host offered
// it, and answered the command with nothing, with no reply, or with 421.
func (s *Session) BrokeAtSTARTTLS() bool { return s.unheard }

// injected ends a session in which octets follow the reply to STARTTLS. They came
// in clear text, maybe from an attacker on the way, and would be read as replies
// that came over TLS.
func (s *Session) injected(e *Effects) {
	s.broken(s.own("4.7.0", "the host sent data after its reply to STARTTLS and before the TLS handshake", ScopeHost), e)
}

// Secured reports that the connection uses TLS now. What the peer offered before is
// forgotten (RFC 3207 section 4.2), and EHLO is sent again.
func (s *Session) Secured(e *Effects) {
	if s.at.phase != securing {
		panic("BUG: smtpclient: Secured, but TLS was not to be started")
	}
	s.offer, s.secured = offer{}, true
	s.sayHello("EHLO ", hello, e)
}

// TLSFailed reports that the TLS handshake failed, or that its outcome does not
// meet the policy; why is for people. The session is over: what the peer has read
// is unknown, so only a new connection can do without TLS.
func (s *Session) TLSFailed(why string, e *Effects) {
	if s.at.phase == closed {
		return
	}
	s.broken(s.own("4.7.5", why, ScopeHost), e)
}

// OverTLS reports whether the peer has answered us under TLS: until then, an end of
// the connection may still be the handshake's. With TLS 1.3 we have done our part
// before the peer has looked at it.
func (s *Session) OverTLS() bool { return s.heard }
