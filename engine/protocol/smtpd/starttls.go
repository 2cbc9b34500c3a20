package smtpd

import (
	"postrider/codec/sasl"
	"postrider/codec/smtp"
)

// Replies to STARTTLS.
var (
	tlsReady    = smtp.Reply{Code: 220, Enhanced: "2.0.0", Text: "Ready to start TLS"}
	tlsAgain    = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "TLS already active"}
	tlsLater    = smtp.Reply{Code: 454, Enhanced: "4.7.0", Text: "TLS not available due to temporary reason", Reason: smtp.TooManyHandshakes}
	tlsTooEarly = smtp.Reply{Code: 554, Enhanced: "5.5.0", Text: "Data received after STARTTLS and before the TLS handshake; closing connection"}
)

// startTLS is STARTTLS (RFC 3207). Clear text after it may come from an attacker
// (CVE-2011-0411): it is neither run nor dropped silently.
func (s *Session) startTLS(arg []byte, e *Effects) {
	switch {
	case len(arg) > 0:
		s.refuse(&noArgument, e)
	case s.peer.Secure:
		s.refuse(&tlsAgain, e)
	default:
		s.early = false
		s.ask(AskTLS, e)
	}
}

func (s *Session) answerTLS(v Verdict, r *smtp.Reply, e *Effects) {
	switch {
	case v == Busy, v == Refused:
		s.decline(r, e)
		s.leave(e)
	case v != Yes || s.early:
		s.decline(&tlsTooEarly, e)
		s.hangUp(e)
	default:
		s.accept(&tlsReady, e)
		e.StartTLS = true
		s.enter(Securing)
	}
}

// TLSFacts is what the machine needs to know of TLS.
type TLSFacts struct {
	// Binding returns the data of a channel binding by its type, for
	// SCRAM-SHA-256-PLUS; nil when there is none (sasl.TLSExporter,
	// sasl.TLSServerEndPoint). It is called on the session's own goroutine, by
	// Secured and at AUTH. A nil function: -PLUS is not offered.
	Binding func(kind string) []byte
}

// Secured tells the machine that the session uses TLS from now on: after the handshake that
// Effects.StartTLS began, or before Greet where TLS comes first. All that the peer
// has sent is forgotten (RFC 3207 section 4.2): its name, its login; only the
// counts remain.
func (s *Session) Secured(f TLSFacts) {
	s.peer.Secure, s.binding, s.binds = true, f.Binding, sasl.Binds(f.Binding)
	s.helo, s.extended, s.verbose, s.login = nil, false, false, nil
	if s.phase == Securing {
		s.enter(Connected)
	}
}

// Secure reports whether the session uses TLS: "with ESMTPS" in a Received field.
func (s *Session) Secure() bool { return s.peer.Secure }
