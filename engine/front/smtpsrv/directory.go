package smtpsrv

import (
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// directory answers VRFY and EXPN. Only a client on a trusted network learns whether a name
// exists.
func (s *session) directory(q smtpd.Question) smtpd.Answer {
	if !s.Trusted {
		return smtpd.Answer{Verdict: smtpd.Unsaid}
	}
	r, argument := s.service.router, s.m.Argument()
	if q == smtpd.AskExpand {
		names, o := r.Expand(argument)
		return smtpd.Answer{Verdict: directoryVerdict(o), Names: names}
	}
	name, o := r.Verify(argument)
	return smtpd.Answer{Verdict: directoryVerdict(o), Names: []string{name}}
}

func directoryVerdict(o router.Outcome) smtpd.Verdict {
	if o == router.Local {
		return smtpd.Yes
	}
	return smtpd.Unknown
}
