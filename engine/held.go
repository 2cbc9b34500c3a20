package engine

import (
	"postrider/codec/smtp"
	"postrider/engine/ledger"
)

// share is what some may have of a ledger.
type share struct {
	*ledger.Ledger
	most int64
}

// ofStrangers is what strangers may hold: the last quarter of budget.held is for the
// mail of our own people.
func (b budget) ofStrangers() share { return share{b.held, b.held.Max() / 4 * 3} }

// Reserve implements vetting.Memory. It never waits.
func (s share) Reserve(n int64) bool { return s.Used()+n <= s.most && s.Ledger.Reserve(n) }

// tight says whether there is little left.
func (s share) tight() bool { return s.Used() > s.most/10*9 }

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
	room := share{s.srv.budget.held, s.srv.budget.held.Max()}
	if s.isStrange() {
		room = s.srv.budget.ofStrangers()
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
	s.srv.budget.held.Release(t.held)
	t.held = 0
}
