package smtpd

import "postrider/codec/smtp"

var (
	helpReply = smtp.Reply{Code: 214, Enhanced: "2.0.0"}
	helpOne   = smtp.Reply{Code: 504, Enhanced: "5.5.4", Text: "No such topic; HELP without an argument lists the commands"}
	helpEnd   = smtp.Reply{Code: 214, Enhanced: "2.0.0", Text: "End of HELP info"}
)

// help is HELP, alone or with a command.
func (s *Session) help(arg []byte, e *Effects) {
	if len(arg) == 0 {
		s.counted(e)
		for verb := range commands {
			if c := &commands[verb]; c.help != "" && c.known(s) {
				e.Reply = helpReply.AppendMore(e.Reply, c.help)
			}
		}
		s.say(&helpEnd, e)
		return
	}
	verb, _ := smtp.ParseVerb(arg)
	if c := &commands[verb]; c.help == "" || !c.known(s) {
		s.refuse(&helpOne, e)
		return
	}
	start := s.counted(e)
	e.Reply = smtp.EndLine(append(e.begin(&helpReply), commands[verb].help...), start)
}
