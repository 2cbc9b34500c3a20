package server

import "postrider/codec/smtp"

const (
	// freeRecipients is how many octets of recipients a session has without booking: those
	// of about ten. They are part of what a session costs.
	freeRecipients = 4 << 10
	// recipientStep is in what steps the rest is booked.
	recipientStep = 8 << 10
)

// hasRoomFor books the memory of a recipient that is asked about, before it is placed. What
// smtpd has of it is there; the rest is an upper bound for all but an alias.
func (s *smtpConn) hasRoomFor(rcpt *smtp.RcptArgs) bool {
	t := s.tx
	need := int64(s.m.Transaction().Octets() + t.Places.Octets() + placeOctets +
		2*(len(rcpt.To.Local())+len(rcpt.To.Domain())) + len(rcpt.ORcpt))
	if need <= max(t.held, freeRecipients) {
		return true
	}
	need = (need + recipientStep - 1) / recipientStep * recipientStep
	room := s.srv.budget.OfAll()
	if s.isStrange() {
		room = s.srv.budget.OfStrangers()
	}
	if !room.Reserve(need - t.held) {
		return false
	}
	t.held = need
	return true
}

// placeOctets is what a place takes besides its texts.
const placeOctets = 768

// forgetRecipients gives back the memory of the recipients of a transaction that is over.
func (s *smtpConn) forgetRecipients() {
	t := s.tx
	if t == nil {
		return
	}
	t.Places.Reset()
	t.Shrink()
	s.srv.budget.Held.Release(t.held)
	t.held = 0
}
