package smtpclient

import (
	"bytes"
	"strconv"
	"strings"

	"postrider/codec/smtp"
)

// offer has the extensions that the peer's reply to EHLO offers.
type offer struct {
	pipelining bool  // RFC 2920
	size       bool  // RFC 1870
	maxSize    int64 // octets; 0: not given
	eightBit   bool  // RFC 6152
	utf8       bool  // RFC 6531
	dsn        bool  // RFC 3461
	rcptMax    int   // recipients a transaction, RFC 9422; 0: not limited
	mailMax    int   // messages a session, RFC 9422; 0: not limited
	plain      bool  // AUTH PLAIN, RFC 4616
	login      bool  // AUTH LOGIN
	startTLS   bool  // RFC 3207
	mechanisms []string
}

// parseOffer reads the reply to EHLO. Keywords are in any case; unknown
// keywords, and values that make no sense, are ignored.
func parseOffer(r smtp.ReceivedReply) (o offer) {
	first := true
	for line := range r.Lines() {
		if !first { // the first one names the host
			o.read(line)
		}
		first = false
	}
	return o
}

func (o *offer) read(line []byte) {
	words := bytes.Fields(line)
	if len(words) == 0 {
		return
	}
	keyword, values := strings.ToUpper(string(words[0])), words[1:]
	switch keyword {
	case "PIPELINING":
		o.pipelining = true
	case "SIZE":
		o.size = true
		if len(values) > 0 {
			o.maxSize = number(values[0])
		}
	case "8BITMIME":
		o.eightBit = true
	case "SMTPUTF8":
		o.utf8 = true
	case "DSN":
		o.dsn = true
	case "STARTTLS":
		o.startTLS = true
	case "LIMITS":
		o.readLimits(values)
	case "AUTH":
		o.readMechanisms(values)
	default:
		// As some servers wrote it before RFC 2554.
		if mechanism, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			o.readMechanisms(append(values, []byte(mechanism)))
		}
	}
}

func (o *offer) readLimits(values [][]byte) {
	for _, v := range values {
		name, value, _ := bytes.Cut(v, []byte("="))
		n := int(min(number(value), 1<<30))
		switch strings.ToUpper(string(name)) {
		case "RCPTMAX":
			o.rcptMax = n
		case "MAILMAX":
			o.mailMax = n
		}
	}
}

// maxMechanisms bounds the names that are kept.
const maxMechanisms = 50

func (o *offer) readMechanisms(names [][]byte) {
	for _, name := range names {
		if len(o.mechanisms) < maxMechanisms {
			o.mechanisms = append(o.mechanisms, string(name))
		}
		switch strings.ToUpper(string(name)) {
		case "PLAIN":
			o.plain = true
		case "LOGIN":
			o.login = true
		}
	}
}

// number reads a count; 0 when it is none.
func number(b []byte) int64 {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil {
		return 0
	}
	return int64(n)
}

// handshake takes a reply before the session is idle for the first time.
func (s *Session) handshake(r smtp.ReceivedReply, class int, e *Effects) {
	p := s.at.phase
	switch {
	case class == 2 && p == greeting:
		s.sayHello("EHLO ", hello, e)
	case class == 2 && p == hello:
		s.offer = parseOffer(r)
		s.secure(e)
	case class == 2 && p == oldHello:
		s.secure(e)
	case p == encrypting:
		s.answerSTARTTLS(r, class, e)
	case class == 2 && p == authing && s.unproven():
		s.broken(s.own("4.7.0", "the host accepted the login without proving that it knows the password: it may be an impostor", ScopeHost), e)
	case class == 2:
		s.settled(e)
	case class == 3:
		s.respond(r, e)
	case class == 5 && p == hello && r.Code != 521:
		// "not recognized" in one of its many forms: an old server (RFC 5321
		// section 3.2).
		s.sayHello("HELO ", oldHello, e)
	case r.Code == 521 && p != authing:
		// A host that takes no mail at all (RFC 7504).
		s.refused(s.refusal(r, ScopeHost), e)
	default:
		// A 5yz is about this host or about us, and not about the message: Postfix and
		// Exim try another host, or later, and so do we.
		s.refused(soften(s.refusal(r, ScopeHost)), e)
	}
}

func (s *Session) sayHello(verb string, p phase, e *Effects) {
	e.Send = append(e.Send, verb...)
	e.Send = append(e.Send, s.cfg.Helo...)
	e.Send = append(e.Send, "\r\n"...)
	s.enter(p)
}

// settled ends the handshake.
func (s *Session) settled(e *Effects) {
	s.enter(idle)
	if s.tx != nil {
		s.start(e)
	}
}
