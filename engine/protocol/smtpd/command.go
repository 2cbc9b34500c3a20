package smtpd

import (
	"strconv"

	"postrider/codec/line"
	"postrider/codec/smtp"
)

// Replies to commands.
var (
	lineTooLong    = smtp.Reply{Code: 500, Enhanced: "5.5.6", Text: "Line too long"}
	unrecognized   = smtp.Reply{Code: 500, Enhanced: "5.5.2", Text: "Command unrecognized"}
	notImplemented = smtp.Reply{Code: 502, Enhanced: "5.5.1", Text: "Command not implemented"}
	noArgument     = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "This command has no argument"}
	heloSyntax     = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: HELO hostname (1 to 255 octets, no control characters)"}
	ehloSyntax     = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: EHLO hostname (1 to 255 octets, no control characters)"}
	vrfySyntax     = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: VRFY user"}
	expnSyntax     = smtp.Reply{Code: 501, Enhanced: "5.5.4", Text: "Syntax: EXPN list"}
	tooManyRcpts   = smtp.Reply{Code: 452, Enhanced: "4.5.3", Text: "Too many recipients"}
	resetDone      = smtp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Reset state"}
	noopDone       = smtp.Reply{Code: 250, Enhanced: "2.0.0", Text: "OK"}
	verboseMode    = smtp.Reply{Code: 250, Enhanced: "2.0.0", Text: "Verbose mode"}
)

// readCommand reads one command line and does it.
func (s *Session) readCommand(in []byte, e *Effects) (n int, more bool) {
	text, n, v := s.lines.Next(in, maxLine)
	if v == line.More {
		return n, false
	}
	verb, arg := smtp.ParseVerb(text)
	if v == line.TooLong {
		verb = smtp.Unknown
	}
	s.verb = verb
	s.tally[countedAs(verb)].All++
	if s.expired != valid && verb != smtp.Quit {
		s.refuseExpired(verb, e)
		return n, true
	}
	switch c := &commands[verb]; {
	case v == line.TooLong:
		s.refuse(&lineTooLong, e)
	case !c.known(s):
		s.refuse(&notImplemented, e)
	case verb != smtp.Bdat && c.refusal(s.phase) != nil: // the octets after BDAT come in any case
		s.refuse(c.refusal(s.phase), e)
	default:
		c.do(s, arg, e)
	}
	if n < len(in) && !commands[verb].mayFollow(s) {
		s.eager = true
	}
	return n, true
}

func (s *Session) unknown(_ []byte, e *Effects) { s.refuse(&unrecognized, e) }

// http closes the connection: a web browser was made to send a form here, and the
// octets that follow are not commands (Postfix: smtpd_forbidden_commands).
func (s *Session) http(_ []byte, e *Effects) {
	s.decline(&unrecognized, e)
	s.close(&notHTTP, e)
}

// hello is HELO and EHLO. An accepted one ends an open transaction, as RSET does; a
// refused one changes nothing (RFC 5321 section 4.1.4).
func (s *Session) hello(arg []byte, e *Effects) {
	name, ok := smtp.ParseHello(arg)
	if !ok {
		syntax := &ehloSyntax
		if s.verb == smtp.Helo {
			syntax = &heloSyntax
		}
		s.refuse(syntax, e)
		return
	}
	s.helo = append(s.helo[:0], name...)
	s.extended = s.verb == smtp.Ehlo
	s.counted(e)
	s.appendHello(e)
	s.endTransaction(e)
}

func (s *Session) offered() smtp.Extensions {
	if !s.extended {
		return 0
	}
	x := smtp.ExtSize | smtp.Ext8BitMIME | smtp.ExtBinaryMIME | smtp.ExtDSN | smtp.ExtSMTPUTF8
	if s.mechanisms() != 0 {
		x |= smtp.ExtAuth
	}
	return x
}

// mail is MAIL.
func (s *Session) mail(arg []byte, e *Effects) {
	m, refused := smtp.ParseMail(arg, s.offered())
	if r := s.mustLogIn(); r != nil {
		refused = r
	}
	switch {
	case refused != nil:
		s.refuse(refused, e)
	case s.cfg.MaxSize > 0 && m.Size > s.cfg.MaxSize:
		s.refuse(&tooBig, e)
	case s.cfg.MaxMessages > 0 && int(s.messages) >= s.cfg.MaxMessages:
		s.close(&enoughMail, e)
	default:
		if s.tx == nil {
			s.tx = new(Transaction)
		}
		s.tx.begin(m)
		s.ask(AskTransaction, e)
	}
}

// rcpt is RCPT.
func (s *Session) rcpt(arg []byte, e *Effects) {
	r, refused := smtp.ParseRcpt(arg, s.offered(), s.tx.Mail.SMTPUTF8)
	switch {
	case refused != nil:
		s.refuse(refused, e)
	case s.cfg.MaxRecipients > 0 && len(s.tx.Recipients) >= s.cfg.MaxRecipients:
		s.decline(&tooManyRcpts, e)
	default:
		s.tx.propose(r)
		s.ask(AskRecipient, e)
	}
}

func (s *Session) rset(arg []byte, e *Effects) {
	if len(arg) > 0 {
		s.refuse(&noArgument, e)
		return
	}
	s.accept(&resetDone, e)
	if s.phase != Connected {
		s.endTransaction(e)
	}
}

// noop takes any argument (RFC 5321 section 4.1.1.9).
func (s *Session) noop(_ []byte, e *Effects) { s.accept(&noopDone, e) }

func (s *Session) quit(arg []byte, e *Effects) {
	if len(arg) > 0 {
		s.refuse(&noArgument, e)
		return
	}
	s.counted(e)
	s.close(&bye, e)
}

// beVerbose is VERB: from now on a refusal shows the command's syntax too, and
// the reply to a message describes what arrived.
func (s *Session) beVerbose(_ []byte, e *Effects) {
	s.verbose = true
	s.accept(&verboseMode, e)
}

// lookUp is VRFY and EXPN.
func (s *Session) lookUp(arg []byte, e *Effects) {
	refused := s.mustLogIn()
	if refused == nil && (len(arg) == 0 || hasControl(arg)) {
		refused = &expnSyntax
		if s.verb == smtp.Vrfy {
			refused = &vrfySyntax
		}
	}
	if refused != nil {
		s.refuse(refused, e)
		return
	}
	s.arg = append(s.arg[:0], arg...)
	if s.verb == smtp.Vrfy {
		s.ask(AskVerify, e)
	} else {
		s.ask(AskExpand, e)
	}
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return true
		}
	}
	return false
}

var helloDone = smtp.Reply{Code: 250}

// appendHello writes the reply to HELO or EHLO.
func (s *Session) appendHello(e *Effects) {
	start := len(e.Reply)
	e.count(&helloDone)
	if s.extended {
		e.Reply = helloDone.BeginMore(e.Reply)
	} else {
		e.Reply = helloDone.Begin(e.Reply)
	}
	e.Reply = append(append(e.Reply, s.cfg.Hostname...), " Hello "...)
	if s.peer.Name == "" || s.peer.Name == "unknown" {
		e.Reply = append(e.Reply, s.helo...)
	} else {
		e.Reply = append(e.Reply, s.peer.Name...)
	}
	e.Reply = append(append(e.Reply, " ["...), s.peer.Addr...)
	e.Reply = smtp.EndLine(append(e.Reply, "], pleased to meet you"...), start)
	if s.extended {
		s.appendExtensions(e)
	}
}

// appendExtensions writes the lines of the reply to EHLO after the first.
func (s *Session) appendExtensions(e *Effects) {
	b := append(e.Reply, "250-PIPELINING\r\n250-SIZE "...)
	b = strconv.AppendInt(b, s.cfg.MaxSize, 10)
	b = append(b, "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n"+
		"250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN\r\n"...)
	if s.cfg.MaxRecipients > 0 || s.cfg.MaxMessages > 0 {
		b = append(b, "250-LIMITS"...)
		b = appendLimit(b, " RCPTMAX=", s.cfg.MaxRecipients)
		b = appendLimit(b, " MAILMAX=", s.cfg.MaxMessages)
		b = append(b, "\r\n"...)
	}
	if s.cfg.OfferTLS && !s.peer.Secure {
		b = append(b, "250-STARTTLS\r\n"...)
	}
	if ms := s.mechanisms(); ms != 0 {
		b = append(ms.AppendTo(append(b, "250-AUTH"...)), "\r\n"...)
	}
	if s.peer.Proxy {
		b = append(b, "250-XCLIENT NAME ADDR PORT PROTO HELO\r\n"...)
	}
	e.Reply = append(b, "250 HELP\r\n"...)
}

func appendLimit(b []byte, name string, n int) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(n), 10)
}
