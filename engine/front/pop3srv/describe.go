package pop3srv

import (
	"postrider/engine/edge/conn"
	"postrider/engine/mail/router"
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
