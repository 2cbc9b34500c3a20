package engine

import "postrider/engine/smtpd"

// mayStartTLS answers AskTLS. A client that hears 454 goes on in clear text or
// comes back: better for both than a handshake that is cut off.
func (s *smtpConn) mayStartTLS() smtpd.Verdict {
	switch {
	case s.srv.draining.Load():
		return smtpd.Shutdown
	case s.srv.tls == nil:
		return smtpd.Failed
	case s.srv.tls.handshaker.Busy():
		s.srv.stats.tlsBusy.Add(1)
		return smtpd.Busy
	}
	return smtpd.Yes
}

// startTLS begins the handshake that the machine has promised with 220.
func (s *smtpConn) startTLS() {
	s.unsent, s.parked = false, false // the handshake waits for the peer to read
	s.rate = rateCheck{}
	s.conn.SetHandler(s.handshake(s.port.starttls, smtpDaemon, s, s.secured))
}

// secured goes on after the handshake: with the greeting where TLS comes first,
// else with whatever the client says now; all that it said before is forgotten.
func (s *smtpConn) secured() {
	first := s.m.Phase() != smtpd.Securing
	s.m.Secured(smtpd.TLSFacts{Binding: s.tls.ChannelBinding})
	if first {
		s.greet()
		return
	}
	s.finish(s.begin())
}
