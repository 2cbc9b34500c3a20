package smtpsrv

import (
	"postrider/codec/smtp"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// What is known of a message at its end may change where it goes: it was at an alias before
// (Delivered-To), or its sender is told of success. Then its recipients are placed again.
// There may be thousands, at aliases with thousands of members, so a pool does it, and the
// session waits meanwhile.

// placing is the work for one message, and the task that brings the places back to the
// loop.
type placing struct {
	incoming.Replaced
	session *session
	then    func(looped int)
}

// placeAgain has all recipients placed again after change, then calls then on the loop with
// the number of recipients that are in a loop. The session has to wait, or be about to.
func (s *session) placeAgain(change func(*router.Placement), then func(looped int)) {
	place, last := s.service.place, s.isUntrusted()
	p := &placing{session: s, then: then}
	s.tx.PlaceAgain(s.m.Transaction().Recipients, change, func(work, full func()) { place(last, work, full) }, p.placed)
}

// placed runs on a goroutine of the pool.
func (p *placing) placed(r incoming.Replaced) {
	p.Replaced = r
	p.session.state.Post(p)
}

// Run implements loop.Task: the places are there.
func (p *placing) Run() {
	s := p.session
	if !s.Conn.Alive() {
		return
	}
	if p.Err != nil {
		s.resume(smtpd.Answer{Verdict: verdictOf(p.Err)})
		return
	}
	s.tx.Places = p.Places
	p.then(p.Looped)
}

// unlessLooped refuses the message if each of its recipients is an alias that has sent it
// elsewhere before, as its Delivered-To fields tell. If there are other recipients it is
// taken, and its sender is told by mail.
func (s *session) unlessLooped(looped int) {
	rcpts := s.m.Transaction().Recipients
	if looped == len(rcpts) {
		s.resume(refusal(&smtp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Mail forwarding loop for " + rcpts[0].To.String()}))
		return
	}
	s.finish()
}
