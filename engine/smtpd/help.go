package smtpd

import "postrider/codec/smtp"

// help has the syntax of each command: for HELP, and for refusals in verbose
// mode.
var help = [smtp.Verbs]string{
	smtp.Helo:    "HELO hostname: say who you are",
	smtp.Ehlo:    "EHLO hostname: say who you are, learn the extensions",
	smtp.Mail:    "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]: begin a message",
	smtp.Rcpt:    "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]: add a recipient",
	smtp.Data:    "DATA: send the message, lines with CRLF, end with a dot on a line by itself",
	smtp.Bdat:    "BDAT octets [LAST]: send a part of the message",
	smtp.Rset:    "RSET: forget the message that was begun",
	smtp.Noop:    "NOOP: do nothing",
	smtp.Quit:    "QUIT: end the session",
	smtp.Help:    "HELP [command]: explain",
	smtp.Vrfy:    "VRFY user: who is that",
	smtp.Expn:    "EXPN list: who is on that list",
	smtp.Verbose: "VERB: say more from now on",

	smtp.Starttls: "STARTTLS: go on behind TLS",
	smtp.Auth:     "AUTH mechanism [initial-response]: log in",
	smtp.Xclient:  "XCLIENT [ADDR=address] [NAME=name]: speak for another client",
}

var (
	helpReply = smtp.Reply{Code: 214, Enhanced: "2.0.0"}
	helpOne   = smtp.Reply{Code: 504, Enhanced: "5.5.4", Text: "No help for that; HELP alone lists the commands"}
	helpEnd   = smtp.Reply{Code: 214, Enhanced: "2.0.0", Text: "End of HELP info"}
)

// help is HELP, alone or with a command.
func (s *Session) help(arg []byte, e *Effects) {
	if len(arg) == 0 {
		s.counted(e)
		for verb, text := range help {
			if text != "" && s.offers(smtp.Verb(verb)) {
				e.Reply = helpReply.AppendMore(e.Reply, text)
			}
		}
		s.say(&helpEnd, e)
		return
	}
	verb, _ := smtp.ParseVerb(arg)
	if help[verb] == "" || !s.offers(verb) {
		s.refuse(&helpOne, e)
		return
	}
	start := s.counted(e)
	e.Reply = smtp.EndLine(append(helpReply.Begin(e.Reply), help[verb]...), start)
}
