package server

import (
	"postrider/codec/smtp"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
)

// What is known of a message at its end may change where it goes: it was at an alias
// before (Delivered-To), or its sender is told of success. Then its recipients are placed
// anew. There may be thousands, at aliases with thousands of members, so this is done by
// a pool, and the session waits meanwhile.

// placers is how many transactions are placed anew at once, maxPlacing how many more may
// wait, of our own people and again of strangers, whose turn comes after them.
const (
	placers    = 2
	maxPlacing = 256
)

// placing is one of them, and the task that brings the places back to the loop.
type placing struct {
	incoming.Replaced
	conn *smtpConn
	then func(looped int)
}

// placeAgain has all recipients placed anew after change, then calls then on the loop with
// the number of them that are in a loop. The session has to wait, or be about to.
func (s *smtpConn) placeAgain(change func(*router.Placement), then func(looped int)) {
	submit := s.srv.placers.Submit
	if s.isStrange() {
		submit = s.srv.placers.SubmitLast
	}
	p := &placing{conn: s, then: then}
	s.tx.PlaceAgain(s.m.Transaction().Recipients, change, func(work, full func()) { submit(step{work, full}) }, p.placed)
}

// placed runs on a goroutine of the pool.
func (p *placing) placed(r incoming.Replaced) {
	p.Replaced = r
	p.conn.shard.loop.Post(p)
}

// Run implements loop.Task: the places are there.
func (p *placing) Run() {
	s := p.conn
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

// store has the finished message stored, after a look at whether it goes round in a loop.
// The answer comes as a task.
func (s *smtpConn) store() {
	head := &s.m.Transaction().Head
	if !s.tx.Places.Forwards() || head.Deliveries() == 0 {
		s.check()
		return
	}
	s.placeAgain(func(p *router.Placement) { p.Been = head.DeliveredTo }, s.unlessLooped)
}

// unlessLooped refuses the message if each of its recipients is an alias that has sent it
// elsewhere before, as its Delivered-To fields say. If others are among them it is
// taken, and its sender is told by mail.
func (s *smtpConn) unlessLooped(looped int) {
	rcpts := s.m.Transaction().Recipients
	if looped == len(rcpts) {
		s.resume(refusal(&smtp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Mail forwarding loop for " + rcpts[0].To.String()}))
		return
	}
	s.check()
}
