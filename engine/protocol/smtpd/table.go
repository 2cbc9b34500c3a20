package smtpd

import "postrider/codec/smtp"

// command is all that is known of a verb.
type command struct {
	do func(s *Session, arg []byte, e *Effects)
	// order has for each phase ok, if the command may come in it, or the reply in its place. A
	// phase that is not named refuses with badSequence.
	order [phases]*smtp.Reply
	// more reports, once the command is done, whether octets may follow it before its reply
	// (RFC 2920 section 3.1); nil: after EHLO, and before any greeting.
	more func(*Session) bool
	// offered reports whether the command is there by configuration; nil: it always is.
	offered func(*Session) bool
	help    string // the syntax: for HELP, and for refusals in verbose mode
}

// refusal is why the command may not come in phase p; nil: it may.
func (c *command) refusal(p Phase) *smtp.Reply {
	switch r := c.order[p]; r {
	case ok:
		return nil
	case nil:
		return &badSequence
	default:
		return r
	}
}

// known reports whether the command is implemented, and there by configuration.
func (c *command) known(s *Session) bool { return c.do != nil && (c.offered == nil || c.offered(s)) }

// mayFollow reports whether octets may follow the command, which is done, before its reply.
func (c *command) mayFollow(s *Session) bool {
	if c.more == nil {
		return s.extended || s.phase == Connected
	}
	return c.more(s)
}

// ok is the phase's entry of a command that may come.
var ok = new(smtp.Reply)

// Replies to commands out of order.
var (
	badSequence  = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Bad sequence of commands"}
	politeFirst  = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Send HELO or EHLO first"}
	needMail     = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Need MAIL command first"}
	nested       = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Sender already specified"}
	noRecipients = smtp.Reply{Code: 554, Enhanced: "5.5.1", Text: "No valid recipients"}
	notInside    = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "Not inside a mail transaction"}
	bdatBegun    = smtp.Reply{Code: 503, Enhanced: "5.5.1", Text: "The message was begun with BDAT; continue with BDAT or RSET"}
)

// Orders of commands (RFC 5321 section 4.1.4, RFC 3030 section 2).
var (
	anywhere  = [phases]*smtp.Reply{Connected: ok, Greeted: ok, Mailed: ok, Addressed: ok, Chunked: ok}
	outside   = [phases]*smtp.Reply{Connected: ok, Greeted: ok, Mailed: &notInside, Addressed: &notInside, Chunked: &notInside}
	greeted   = [phases]*smtp.Reply{Connected: &politeFirst, Greeted: ok, Mailed: &notInside, Addressed: &notInside, Chunked: &notInside}
	mailOrder = [phases]*smtp.Reply{Connected: &politeFirst, Greeted: ok, Mailed: &nested, Addressed: &nested, Chunked: &nested}
	rcptOrder = [phases]*smtp.Reply{Connected: &needMail, Greeted: &needMail, Mailed: ok, Addressed: ok, Chunked: &bdatBegun}
	dataOrder = [phases]*smtp.Reply{Connected: &needMail, Greeted: &needMail, Mailed: &noRecipients, Addressed: ok, Chunked: &bdatBegun}
	bdatOrder = [phases]*smtp.Reply{Connected: &needMail, Greeted: &needMail, Mailed: &noRecipients, Addressed: ok, Chunked: ok}
)

// After STARTTLS and AUTH other rules look at what follows; QUIT is the end in any case.
var (
	never   = func(*Session) bool { return false }
	always  = func(*Session) bool { return true }
	notData = func(s *Session) bool { return s.phase != InData }
)

var (
	offersTLS     = func(s *Session) bool { return s.cfg.OfferTLS }
	offersAuth    = func(s *Session) bool { return s.cfg.Auth.Mechanisms != 0 }
	offersXclient = func(s *Session) bool { return s.peer.Proxy }
)

// commands has a row for each verb that is implemented; the others get 502. init fills it:
// HELP is in the table and reads it.
var commands [smtp.Verbs]command

func init() {
	commands = [smtp.Verbs]command{
		smtp.Unknown: {do: (*Session).unknown, order: anywhere, more: always},
		smtp.Helo: {do: (*Session).hello, order: anywhere, more: never,
			help: "HELO hostname: identify the client"},
		smtp.Ehlo: {do: (*Session).hello, order: anywhere, more: never,
			help: "EHLO hostname: identify the client, list the extensions"},
		smtp.Mail: {do: (*Session).mail, order: mailOrder,
			help: "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]: begin a message"},
		smtp.Rcpt: {do: (*Session).rcpt, order: rcptOrder,
			help: "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]: add a recipient"},
		smtp.Data: {do: (*Session).data, order: dataOrder, more: notData,
			help: "DATA: send the message, lines with CRLF, end with a dot on a line by itself"},
		smtp.Bdat: {do: (*Session).bdat, order: bdatOrder,
			help: "BDAT octets [LAST]: send a part of the message"},
		smtp.Rset: {do: (*Session).rset, order: anywhere,
			help: "RSET: drop the message that was begun"},
		smtp.Noop: {do: (*Session).noop, order: anywhere,
			help: "NOOP: do nothing"},
		smtp.Quit: {do: (*Session).quit, order: anywhere, more: always,
			help: "QUIT: end the session"},
		smtp.Help: {do: (*Session).help, order: anywhere,
			help: "HELP [command]: explain the commands"},
		smtp.Vrfy: {do: (*Session).lookUp, order: anywhere,
			help: "VRFY user: verify a user"},
		smtp.Expn: {do: (*Session).lookUp, order: anywhere,
			help: "EXPN list: list the members of a mailing list"},
		smtp.Verbose: {do: (*Session).beVerbose, order: anywhere,
			help: "VERB: more detailed replies from now on"},
		smtp.Starttls: {do: (*Session).startTLS, order: greeted, more: always, offered: offersTLS,
			help: "STARTTLS: start TLS"},
		smtp.Auth: {do: (*Session).auth, order: greeted, more: always, offered: offersAuth,
			help: "AUTH mechanism [initial-response]: log in"},
		smtp.Xclient: {do: (*Session).xclient, order: outside, offered: offersXclient,
			help: "XCLIENT [ADDR=address] [NAME=name]: name the client that the session is for"},
		smtp.HTTP: {do: (*Session).http, order: anywhere, more: always},
	}
}
