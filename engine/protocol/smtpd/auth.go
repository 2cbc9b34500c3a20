package smtpd

import (
	"bytes"

	"postrider/codec/line"
	"postrider/codec/sasl"
	"postrider/codec/smtp"
)

// login is the state of a session after AUTH: the exchange, and after its
// success the account.
type login struct {
	exchange sasl.Exchange
	account  string
}

// Replies to AUTH and to responses.
var (
	challenge       = smtp.Reply{Code: 334}
	authSyntax      = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: AUTH mechanism [initial-response]"}
	authAfterEhlo   = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "AUTH requires EHLO"}
	authAgain       = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Already authenticated"}
	noMechanism     = smtp.Reply{Code: 504, Enhanced: "5.5.4", Text: "Unrecognized authentication type"}
	needEncryption  = smtp.Reply{Code: 538, Enhanced: "5.7.11", Text: "Encryption required for requested authentication mechanism"}
	notBase64       = smtp.Reply{Code: 501, Enhanced: "5.5.2", Text: "Cannot Base64-decode the response"}
	brokenResponse  = smtp.Reply{Code: 501, Enhanced: "5.5.2", Text: "The response breaks the rules of the mechanism"}
	responseTooLong = smtp.Reply{Code: 500, Enhanced: "5.5.6", Text: "Authentication exchange line is too long"}
	authCancelled   = smtp.Reply{Code: 501, Enhanced: "5.7.0", Text: "Authentication cancelled", Reason: smtp.BadSequence}
	needAuth        = smtp.Reply{Code: 530, Enhanced: "5.7.0", Text: "Authentication required", Reason: smtp.AuthRequired}
	needTLS         = smtp.Reply{Code: 530, Enhanced: "5.7.0", Text: "Must issue a STARTTLS command first", Reason: smtp.AuthRequired}
	authenticated   = smtp.Reply{Code: 235, Enhanced: "2.7.0", Text: "Authentication successful"}
	authDenied      = smtp.Reply{Code: 535, Enhanced: "5.7.8", Text: "Authentication credentials invalid"}
	authLater       = smtp.Reply{Code: 454, Enhanced: "4.7.0", Text: "Temporary authentication failure", Reason: smtp.LocalError}
	authThrottled   = smtp.Reply{Code: 454, Enhanced: "4.7.0", Text: "Too many failed logins from your network, try again later", Reason: smtp.TooManyFailedLogins}
)

// mechanisms returns the mechanisms that the peer may use now.
func (s *Session) mechanisms() sasl.Set {
	if s.cfg.Auth.TLSFirst && !s.peer.Secure {
		return 0
	}
	return s.cfg.Auth.Mechanisms.Usable(s.peer.Secure || s.peer.Loopback || s.cfg.Auth.Plaintext, s.binds)
}

// mustLogIn returns the refusal of a command that needs a login; nil: the command may run.
func (s *Session) mustLogIn() *smtp.Reply {
	switch {
	case !s.cfg.Auth.Required || s.Account() != "":
		return nil
	case s.mechanisms() == 0 && s.cfg.OfferTLS && !s.peer.Secure:
		return &needTLS
	}
	return &needAuth
}

// auth is AUTH (RFC 4954 section 4).
func (s *Session) auth(arg []byte, e *Effects) {
	name, initial, has := bytes.Cut(arg, []byte{' '})
	m := sasl.ParseMechanism(name)
	switch usable := s.mechanisms(); {
	case !s.extended:
		s.refuse(&authAfterEhlo, e)
	case s.Account() != "":
		s.refuse(&authAgain, e)
	case len(arg) == 0:
		s.refuse(&authSyntax, e)
	case s.cfg.Auth.TLSFirst && !s.peer.Secure:
		s.refuse(&needTLS, e)
	case !usable.Has(m) && m.InTheClear() && s.cfg.Auth.Mechanisms.Has(m):
		s.refuse(&needEncryption, e)
	case !usable.Has(m):
		s.refuse(&noMechanism, e)
	default:
		response, ok := sasl.DecodeInitial(nil, initial)
		if !ok {
			s.refuse(&notBase64, e)
			return
		}
		s.login = new(login)
		s.enter(Authenticating)
		s.next(s.login.exchange.Start(sasl.Context{
			Hostname: s.cfg.Hostname, Nonce: s.cfg.Auth.Nonce, Binding: s.binding,
			OfferedPlus: usable.Has(sasl.ScramSHA256Plus),
		}, m, response, has), e)
		clear(response)
	}
}

// readResponse reads the response to a challenge.
func (s *Session) readResponse(in []byte, e *Effects) (n int, more bool) {
	text, n, v := s.lines.Next(in, sasl.MaxLine)
	switch {
	case v == line.More:
		return n, false
	case v == line.TooLong:
		s.refuseAuth(&responseTooLong, e)
		return n, true
	case string(text) == "*":
		s.refuseAuth(&authCancelled, e)
		return n, true
	}
	response, ok := sasl.Decode(nil, text)
	if !ok {
		s.refuseAuth(&notBase64, e)
		return n, true
	}
	s.next(s.login.exchange.Next(response), e)
	clear(response)
	return n, true
}

// next does the next step of the exchange.
func (s *Session) next(step sasl.Step, e *Effects) {
	switch step {
	case sasl.Challenge:
		// A challenge is not cut to 512 octets as other replies are.
		e.count(&challenge)
		e.Reply = sasl.AppendEncode(challenge.Begin(e.Reply), s.login.exchange.Challenge())
		e.Reply = append(e.Reply, "\r\n"...)
	case sasl.Credentials, sasl.Judge:
		s.ask(AskAuth, e)
	default:
		s.refuseAuth(&brokenResponse, e)
	}
}

// answerAuth continues the exchange, or ends it. A peer that has not proven
// itself is refused even by a Yes.
func (s *Session) answerAuth(r *smtp.Reply, a Answer, e *Effects) {
	claim := s.login.exchange.Claim()
	switch {
	case r.Refuses():
		s.refuseAuth(r, e)
	case claim.Need == sasl.NeedVerifier:
		s.next(s.login.exchange.Use(a.Verifier), e)
	case a.Account == "", claim.Need == sasl.NeedConsent && !claim.Proven:
		s.refuseAuth(&authLater, e)
	default:
		s.login.exchange.Forget()
		s.login.account = a.Account
		s.accept(&authenticated, e)
		s.enter(Greeted)
		s.leave(e)
	}
}

// refuseAuth ends the exchange with r.
func (s *Session) refuseAuth(r *smtp.Reply, e *Effects) {
	s.login.exchange.Forget()
	s.login = nil
	s.enter(Greeted)
	s.turnDown(r, e)
	s.leave(e)
}

// Claim is the claim that AskAuth asks about. It is borrowed until the answer.
func (s *Session) Claim() sasl.Claim {
	if s.asking != AskAuth {
		return sasl.Claim{}
	}
	return s.login.exchange.Claim()
}

// Account is the account that the peer has logged in to, as the answer to AskAuth
// named it; empty before.
func (s *Session) Account() string {
	if s.login == nil {
		return ""
	}
	return s.login.account
}
