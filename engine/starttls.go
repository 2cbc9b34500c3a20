package engine

import (
	"postrider/codec/smtp"
	"postrider/engine/pop3d"
	"postrider/engine/smtpd"
)

// tlsBusy says whether a handshake that begins now would be cut off. A client that
// hears so instead goes on in clear text or comes back: better for both.
func (s *session) tlsBusy() bool {
	busy := s.srv.tls.handshaker.Busy()
	if busy {
		s.srv.stats.tlsBusy.Add(1)
	}
	return busy
}

// mayStartTLS answers AskTLS. That nothing stands behind the command is what the
// machine has seen to: it was fed all that was read.
func (s *smtpConn) mayStartTLS() smtpd.Answer {
	switch {
	case s.srv.draining.Load():
		return smtpd.Answer{Verdict: smtpd.Shutdown}
	case s.tlsBusy():
		return smtpd.Answer{Verdict: smtpd.Busy}
	case s.tlsTooOften():
		return refusal(&smtp.Reply{Code: 454, Enhanced: "4.7.0",
			Text: "Too many TLS handshakes from your address, limit " + s.srv.cfg.TLS.ClientHandshakes + "; come back later"})
	}
	return smtpd.Answer{Verdict: smtpd.Yes}
}

// mayStartTLS answers AskTLS.
func (s *pop3Conn) mayStartTLS() pop3d.Verdict {
	switch {
	case s.srv.draining.Load():
		return pop3d.Shutdown
	case s.tlsBusy(), s.tlsTooOften():
		return pop3d.Temporary
	}
	return pop3d.Yes
}
