package smtpsrv

import (
	"time"

	"postrider/engine/host/history"
)

// keep adds a message that got its 250 to the history.
func (t *transaction) keep() {
	s := t.session
	h := s.rules.Entrance.History
	if t.err != nil || t.Refusal() != nil || !h.On() {
		return
	}
	e := h.Begin(history.Received, t.receipt.ID(), time.Now())
	e.Text(history.Door, s.Port.Service.String())
	e.Text(history.Client, s.Client())
	e.Octets(history.Helo, s.m.Helo())
	e.Text(history.Proto, s.with(s.m.Transaction()))
	if account := s.m.Account(); account != "" {
		e.Text(history.Login, account)
		e.Text(history.Mechanism, s.auth.Attempt.Claim.Mechanism.String())
	}
	if s.TLS != nil {
		f := s.TLS.Facts()
		e.Text(history.TLS, f.Version+" with cipher "+f.Cipher)
	}
	e.Time(history.Connected, s.Since())
	e.Time(history.Mailed, t.mailed)
	e.Time(history.Ended, t.ended)
	t.Keep(e)
}
