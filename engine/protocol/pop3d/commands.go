package pop3d

import (
	"strconv"

	"postrider/codec/pop3"
)

// commands has for each verb in which states it is allowed (RFC 1939 sections 4
// to 7, RFC 2449 section 5, RFC 2595, RFC 5034, RFC 6856 sections 2 and 3) and what it does.
var commands = [pop3.Verbs]struct {
	phases phase
	run    func(*Session, pop3.Command, *Effects)
}{
	pop3.USER: {authorization, (*Session).userCommand},
	pop3.PASS: {authorization, (*Session).pass},
	pop3.APOP: {authorization, (*Session).apop},
	pop3.UTF8: {authorization, (*Session).utf8Command},
	pop3.AUTH: {authorization, (*Session).auth},
	pop3.STLS: {authorization, (*Session).stls},
	pop3.QUIT: {authorization | transaction, (*Session).quit},
	pop3.CAPA: {authorization | transaction, (*Session).capa},
	pop3.LANG: {authorization | transaction, (*Session).langCommand},
	pop3.STAT: {transaction, (*Session).stat},
	pop3.LIST: {transaction, (*Session).list},
	pop3.UIDL: {transaction, (*Session).uidl},
	pop3.RETR: {transaction, (*Session).retr},
	pop3.TOP:  {transaction, (*Session).top},
	pop3.DELE: {transaction, (*Session).dele},
	pop3.RSET: {transaction, (*Session).rset},
	pop3.NOOP: {transaction, (*Session).noop},
}

// userCommand never reports whether there is such a user.
func (s *Session) userCommand(c pop3.Command, e *Effects) {
	s.user, s.named = string(c.Name), true
	s.ok(e, textSendPassword)
}

func (s *Session) pass(c pop3.Command, e *Effects) {
	s.secret = string(c.Password)
	s.ask(e, AskLogin)
}

func (s *Session) apop(c pop3.Command, e *Effects) {
	s.user, s.secret = string(c.Name), string(c.Digest)
	s.ask(e, AskAPOP)
}

func (s *Session) utf8Command(_ pop3.Command, e *Effects) {
	s.utf8 = true
	s.ok(e, textUTF8)
}

// quit closes, or enters the UPDATE state if there is something to delete.
func (s *Session) quit(_ pop3.Command, e *Effects) {
	s.left = true
	if s.deleted > 0 {
		s.enter(update)
		s.ask(e, AskUpdate)
		return
	}
	s.ok(e, textBye)
	s.close(e)
}

// stat has the same form for every server: a drop listing and nothing else.
func (s *Session) stat(_ pop3.Command, e *Effects) {
	s.errors = 0
	e.Reply = pop3.AppendPair(e.ok(), s.messages(), s.kept)
	e.Reply = append(e.Reply, "\r\n"...)
}

func (s *Session) list(c pop3.Command, e *Effects) {
	if c.Number == pop3.None {
		s.ok(e, textMaildrop, int64(s.messages()), s.kept)
		s.begin(e, listing)
		return
	}
	if i, ok := s.existing(c, e); ok {
		e.Reply = s.appendScan(e.ok(), i)
	}
}

func (s *Session) uidl(c pop3.Command, e *Effects) {
	if c.Number == pop3.None {
		s.ok(e, textUnique)
		s.begin(e, uniqueIDs)
		return
	}
	if i, ok := s.existing(c, e); ok {
		e.Reply = s.appendUnique(e.ok(), i)
	}
}

func (s *Session) retr(c pop3.Command, e *Effects) {
	if i, ok := s.existing(c, e); ok {
		s.reading, s.lines = i, -1
		s.ask(e, AskRead)
	}
}

func (s *Session) top(c pop3.Command, e *Effects) {
	if i, ok := s.existing(c, e); ok {
		s.reading, s.lines = i, c.Lines
		s.ask(e, AskRead)
	}
}

func (s *Session) dele(c pop3.Command, e *Effects) {
	if i, ok := s.existing(c, e); ok {
		s.mark(i)
		s.ok(e, textDeleted, int64(c.Number))
	}
}

func (s *Session) rset(_ pop3.Command, e *Effects) {
	s.unmark()
	s.ok(e, textMaildrop, int64(s.messages()), s.kept)
}

func (s *Session) noop(_ pop3.Command, e *Effects) { s.ok(e, textNothingDone) }

// existing finds the message of a command, or refuses the command.
func (s *Session) existing(c pop3.Command, e *Effects) (i int, ok bool) {
	i, ok = s.index(c.Number)
	if !ok {
		s.refuse(e, pop3.NoCode, textNoMessage)
		return 0, false
	}
	s.errors = 0
	return i, true
}

// capa lists what there is (RFC 2449 sections 5 and 6). All of it but EXPIRE is the same for
// every user, so no parameter USER is after LOGIN-DELAY, and the
// list is the same in both states: a client may keep what it saw first.
func (s *Session) capa(_ pop3.Command, e *Effects) {
	s.ok(e, textCapabilities)
	r := append(e.Reply, "TOP\r\nUIDL\r\n"...)
	if s.mayShowPassword() {
		r = append(r, "USER\r\n"...)
	}
	if ms := s.mechanisms(); ms != 0 {
		r = append(ms.AppendTo(append(r, "SASL"...)), "\r\n"...)
	}
	if s.cfg.OfferTLS && !s.peer.Secure {
		r = append(r, "STLS\r\n"...)
	}
	r = append(r, "PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"...)
	r = append(r, "LOGIN-DELAY "...)
	r = append(strconv.AppendInt(r, int64(s.cfg.LoginDelay), 10), "\r\n"...)
	r = append(s.appendExpire(append(r, "EXPIRE "...)), "\r\nUTF8 USER\r\nLANG\r\nIMPLEMENTATION postrider"...)
	if s.cfg.Version != "" {
		r = append(append(r, ' '), s.cfg.Version...)
	}
	e.Reply = append(append(r, "\r\n"...), pop3.Terminator...)
}

// appendExpire appends the least number of days that mail stays (RFC 2449 section 6.7):
// before the login, of any user; then of this one.
func (s *Session) appendExpire(dst []byte) []byte {
	days, differs := s.expire, false
	if s.listing == nil && s.cfg.Expire != nil {
		days, differs = s.cfg.Expire()
	}
	if days > 0 {
		dst = strconv.AppendInt(dst, int64(days), 10)
	} else {
		dst = append(dst, "NEVER"...)
	}
	if differs {
		dst = append(dst, " USER"...)
	}
	return dst
}
