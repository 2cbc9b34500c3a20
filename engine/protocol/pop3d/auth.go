package pop3d

import (
	"postrider/codec/line"
	"postrider/codec/pop3"
	"postrider/codec/sasl"
)

// mechanisms returns the mechanisms that the peer may use now.
func (s *Session) mechanisms() sasl.Set {
	if s.needsTLS() {
		return 0
	}
	return s.cfg.Mechanisms.Usable(s.mayShowPassword(), s.binds)
}

// mayShowPassword reports whether the peer may send a password as it is: USER and
// PASS, PLAIN, LOGIN (RFC 2595 section 2.3).
func (s *Session) mayShowPassword() bool {
	return s.peer.Secure || (s.peer.Loopback || s.cfg.Plaintext) && !s.cfg.TLSFirst
}

// needsTLS reports whether TLS has to come before any login.
func (s *Session) needsTLS() bool { return s.cfg.TLSFirst && !s.peer.Secure }

// auth is AUTH (RFC 5034). Without an argument it lists the mechanisms, which no
// RFC has and old clients ask for.
func (s *Session) auth(c pop3.Command, e *Effects) {
	m, usable := sasl.ParseMechanism(c.Mechanism), s.mechanisms()
	switch {
	case len(c.Mechanism) == 0:
		s.listMechanisms(e)
		return
	case s.needsTLS(), !usable.Has(m) && m.InTheClear() && s.cfg.Mechanisms.Has(m):
		s.refuse(e, pop3.NoCode, textNeedTLS)
		return
	case !usable.Has(m):
		s.refuse(e, pop3.NoCode, textNoMechanism)
		return
	}
	response, ok := sasl.DecodeInitial(nil, c.Initial)
	if !ok {
		s.refuse(e, pop3.NoCode, textNotBase64)
		return
	}
	s.exchange = new(sasl.Exchange)
	s.enter(exchanging)
	s.exchangeStep(s.exchange.Start(sasl.Context{
		Hostname: s.cfg.Hostname, Nonce: s.cfg.Nonce, Binding: s.binding,
		OfferedPlus: usable.Has(sasl.ScramSHA256Plus),
	}, m, response, c.Initial != nil), e)
	clear(response)
}

func (s *Session) listMechanisms(e *Effects) {
	s.ok(e, textMechanisms)
	for m := range s.mechanisms().All() {
		e.Reply = append(append(e.Reply, m.String()...), "\r\n"...)
	}
	e.Reply = append(e.Reply, pop3.Terminator...)
}

// response takes a line with the response to a challenge.
func (s *Session) response(text []byte, v line.Verdict, e *Effects) {
	if v == line.TooLong {
		s.endExchange(e, pop3.NoCode, textTooLong)
		return
	}
	if string(text) == "*" {
		s.endExchange(e, pop3.NoCode, textCancelled)
		return
	}
	decoded, ok := sasl.Decode(nil, text)
	if !ok {
		s.endExchange(e, pop3.NoCode, textNotBase64)
		return
	}
	s.exchangeStep(s.exchange.Next(decoded), e)
	clear(decoded)
}

// exchangeStep does what comes next in the exchange.
func (s *Session) exchangeStep(step sasl.Step, e *Effects) {
	switch step {
	case sasl.Challenge:
		e.Reply = sasl.AppendEncode(append(e.Reply, "+ "...), s.exchange.Challenge())
		e.Reply = append(e.Reply, "\r\n"...)
	case sasl.Credentials, sasl.Judge:
		s.user = s.exchange.Claim().User
		s.ask(e, AskAuth)
	default:
		s.endExchange(e, pop3.NoCode, textBadResponse)
	}
}

// judged goes on with the exchange, or ends it. A peer that has not proven itself
// is refused even by a Yes.
func (s *Session) judged(a Answer, e *Effects) {
	claim := s.exchange.Claim()
	if a.Verdict == Yes && claim.Need == sasl.NeedVerifier {
		s.exchangeStep(s.exchange.Use(a.Verifier), e)
		return
	}
	if a.Verdict == Yes && claim.Need == sasl.NeedConsent && !claim.Proven {
		a.Verdict = Temporary
	}
	s.dropExchange()
	s.loggedIn(a, e)
}

// endExchange refuses a response, and with it the login.
func (s *Session) endExchange(e *Effects, code pop3.Code, t text) {
	s.dropExchange()
	s.refuse(e, code, t)
}

func (s *Session) dropExchange() {
	s.exchange.Forget()
	s.exchange = nil
	s.enter(authorization)
}

// Claim is what AskLogin and AskAuth are about. It is borrowed until the answer.
func (s *Session) Claim() sasl.Claim {
	switch s.asking {
	case AskLogin:
		return sasl.Claim{Need: sasl.NeedPassword, User: s.user, Password: []byte(s.secret)}
	case AskAuth:
		return s.exchange.Claim()
	}
	return sasl.Claim{}
}
