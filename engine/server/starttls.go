package server

import (
	"postrider/codec/smtp"
	"postrider/engine/protocol/smtpd"
)

// mayStartTLS answers AskTLS. The machine was fed all that was read, and has refused a
// command with octets after it.
func (s *smtpConn) mayStartTLS() smtpd.Answer {
	switch {
	case s.srv.draining.Load():
		return smtpd.Answer{Verdict: smtpd.Shutdown}
	case s.TLSBusy():
		return smtpd.Answer{Verdict: smtpd.Busy}
	case s.TLSTooOften():
		return refusal(&smtp.Reply{Code: 454, Enhanced: "4.7.0",
			Text: "Too many TLS handshakes from your address, limit " + s.srv.cfg.TLS.ClientHandshakes + "; come back later"})
	}
	return smtpd.Answer{Verdict: smtpd.Yes}
}
