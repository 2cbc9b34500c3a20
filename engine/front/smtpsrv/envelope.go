package smtpsrv

import (
	"fmt"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// mayMail answers AskTransaction: is there room for a message, and may this account send
// it now?
func (s *session) mayMail() smtpd.Answer {
	if v := s.mayBegin(); v != smtpd.Yes {
		return smtpd.Answer{Verdict: v}
	}
	if s.account() != 0 {
		if r := s.maySend(); r != nil {
			return refusal(r)
		}
	}
	s.tx.Expect()
	return smtpd.Answer{Verdict: smtpd.Yes}
}

// maySend books a message of the account, or returns why it may not send it.
func (s *session) maySend() *smtp.Reply {
	if !s.maySendAs(s.m.Transaction().Mail.From) {
		return &smtp.Reply{Code: 553, Enhanced: "5.7.1", Reason: smtp.SenderNotOwned,
			Text: "<" + string(s.tx.Reverse) + ">: Sender address rejected: not owned by user " + s.m.Account()}
	}
	booking, r := s.service.sent.Begin(s.account(), time.Now())
	if r != nil {
		return s.tooMuch(r)
	}
	s.tx.booking = booking
	return nil
}

// mayBegin refuses a new transaction while the disk, the store or the memory could not take
// its message.
func (s *session) mayBegin() smtpd.Verdict {
	service := s.service
	if service.draining() {
		return smtpd.Shutdown
	}
	if service.memory.Tight() || !s.hasRoomForCheck() {
		return s.busy()
	}
	if err := service.store.Admit(s.m.Transaction().Mail.Size); err != nil {
		return verdictOf(err)
	}
	if s.tx == nil {
		s.tx = newTransaction(s)
	}
	s.tx.mailed = time.Now()
	s.tx.Begin(s.m.Transaction().Mail.From, s.relays())
	return smtpd.Yes
}

// relays reports whether mail of the client for other domains is taken.
func (s *session) relays() bool { return s.mayRelay || s.m.Account() != "" }

// maySendAs reports whether the account may have from as its reverse-path. Each account may
// have the null path: mail readers send receipts with it (RFC 8098 section 2.1).
func (s *session) maySendAs(from smtp.ReversePath) bool {
	return s.rules.AnySender || from.IsNull() || s.service.router.Owns(s.account(), string(s.tx.Reverse))
}

// tooMuch is the refusal to an account that has used up its allowance.
func (s *session) tooMuch(r *allowance.Refusal) *smtp.Reply {
	return &smtp.Reply{Code: 450, Enhanced: "4.7.1", Reason: reasonOf(r),
		Text: fmt.Sprintf("%s has sent to its limit of %d %s an hour, try again after %s", s.m.Account(), r.Limit, r.What, r.Again.UTC().Format("15:04 UTC"))}
}

// reasonOf is the reason of a refusal, for metrics.
func reasonOf(r *allowance.Refusal) smtp.Reason {
	if r.What == "messages" {
		return smtp.MessagesPerHour
	}
	return smtp.RecipientsPerHour
}

// mayAddress answers AskRecipient.
func (s *session) mayAddress() smtpd.Answer {
	if s.account() == 0 {
		return smtpd.Answer{Verdict: s.recipient()}
	}
	b := &s.tx.booking
	if r := b.Recipient(); r != nil {
		return refusal(s.tooMuch(r))
	}
	v := s.recipient()
	if v != smtpd.Yes && v != smtpd.Here {
		b.Refused(1)
	}
	return smtpd.Answer{Verdict: v}
}

// recipient routes the forward-path and keeps where it leads.
func (s *session) recipient() smtpd.Verdict {
	rs := s.m.Transaction().Recipients
	rcpt := &rs[len(rs)-1]
	if !s.hasRoomFor(rcpt) {
		return s.busy()
	}
	switch s.tx.Recipient(rcpt) {
	case router.Local:
		if s.rules.Capture {
			return smtpd.Yes
		}
		return smtpd.Here
	case router.Unknown:
		return smtpd.Unknown
	case router.Loop:
		return smtpd.AliasLoop
	case router.Disabled:
		return smtpd.MailboxOff
	case router.Full:
		return s.storedVerdict(storage.ErrOverQuota)
	case router.NotOurs:
		if !s.tx.MayRelay() {
			return smtpd.NotRelayed
		}
		return smtpd.Yes
	}
	return smtpd.Failed
}

const (
	// freeRecipients is how many octets of recipients a session has without a booking: about
	// ten of them. They are part of what a session costs.
	freeRecipients = 4 << 10
	// recipientStep is the step in which the rest is booked.
	recipientStep = 8 << 10
	// placeOctets is what a place takes besides its texts.
	placeOctets = 768
)

// hasRoomFor books the memory of a recipient that is asked about, before it is placed. What
// smtpd has of it is there already; the rest is an upper bound, except for an alias.
func (s *session) hasRoomFor(rcpt *smtp.RcptArgs) bool {
	t := s.tx
	need := int64(s.m.Transaction().Octets() + t.Places.Octets() + placeOctets +
		2*(len(rcpt.To.Local())+len(rcpt.To.Domain())) + len(rcpt.ORcpt))
	if need <= max(t.held, freeRecipients) {
		return true
	}
	need = (need + recipientStep - 1) / recipientStep * recipientStep
	room := s.service.memory.OfAll()
	if s.isUntrusted() {
		room = s.service.memory.OfStrangers()
	}
	if !room.Reserve(need - t.held) {
		return false
	}
	t.held = need
	return true
}

// forget gives back what a transaction that is over has booked: the memory of its
// recipients, and the allowance of an account whose message was not sent. The store expects
// no message of it any more.
func (s *session) forget() {
	t := s.tx
	if t == nil {
		return
	}
	t.Drop()
	t.booking.Cancel()
	t.Places.Reset()
	t.Shrink()
	s.service.memory.Held.Release(t.held)
	t.held = 0
}
