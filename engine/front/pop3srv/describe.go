package pop3srv

import (
	"postrider/engine/edge/conn"
	"postrider/engine/mail/router"
	dialogue "postrider/engine/protocol/trace"
)

// Describe implements conn.Dialogue.
func (s *session) Describe(f *conn.Facts) {
	counts := s.machine.Counts()
	f.State, f.Messages = s.machine.State(), int64(counts.Retr)+int64(counts.Top)
	m := s.maildrop
	switch {
	case m == nil:
		if s.Waits == conn.ForAnswer {
			f.Waits = "login"
		}
		return
	case m.waits == forBuffer:
		f.Waits = "memory"
	case m.waits == forJob:
		f.Waits = "store"
	}
	a := &m.signedIn.Account
	f.Account = router.Mailbox(a.Name, a.Domain)
}

// scribe writes a dialogue down: see conn.Port.
func scribe(joined bool, emit func(string)) conn.Scribe {
	return dialogue.New(dialogue.POP3, joined, emit)
}
