package smtpsrv

import (
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/smtpd"
	"postrider/engine/protocol/trace"
)

// Describe implements conn.Dialogue.
func (s *session) Describe(f *conn.Facts) {
	f.State, f.Account = phaseWords[s.m.Phase()], s.m.Account()
	if s.tx != nil {
		f.Messages = s.tx.taken
	}
	if s.Waits == conn.ForAnswer {
		f.Waits = waitsFor(s.m.Asking())
	}
}

// waitsFor is what a session waits for while a question is open.
func waitsFor(q smtpd.Question) string {
	switch q {
	case smtpd.AskNothing: // octets of a message are not taken now: see hasRoom
		return "memory"
	case smtpd.AskStored:
		return "store"
	case smtpd.AskAuth:
		return "login"
	}
	return "names"
}

// scribe writes a dialogue down: see conn.Port.
func scribe(joined bool, emit func(string)) conn.Scribe {
	return trace.New(trace.SMTP, joined, emit)
}
