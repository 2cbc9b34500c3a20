package pop3d

import (
	"postrider/codec/pop3"
	"postrider/codec/sasl"
)

// stls is STLS (RFC 2595 section 4).
func (s *Session) stls(_ pop3.Command, e *Effects) {
	if s.peer.Secure {
		s.refuse(e, pop3.NoCode, textTLSOn)
		return
	}
	s.early = false
	s.ask(e, AskTLS)
}

// answerTLS begins the handshake, unless there are octets after STLS: they were not
// protected by TLS, so they are neither run nor dropped silently.
func (s *Session) answerTLS(v Verdict, e *Effects) {
	switch {
	case v == Temporary:
		s.refuse(e, pop3.CodeTemporary, textTLSLater)
	case v == Shutdown:
		s.end(e)
	case v != Yes || s.early:
		s.refuse(e, pop3.NoCode, textTooEarly)
		s.close(e)
	default:
		s.ok(e, textTLSReady)
		e.StartTLS = true
		s.enter(securing)
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
// has sent is forgotten (RFC 2595 section 4).
func (s *Session) Secured(f TLSFacts) {
	s.peer.Secure, s.binding, s.binds = true, f.Binding, sasl.Binds(f.Binding)
	s.user, s.named, s.utf8, s.lang = "", false, false, iDefault
	if s.phase == securing {
		s.enter(authorization)
	}
}

// Secure reports whether the session uses TLS.
func (s *Session) Secure() bool { return s.peer.Secure }
