package engine

import (
	"fmt"

	"postrider/codec/smtp"
	"postrider/engine/router"
	"postrider/engine/smtpd"
	"postrider/storage"
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

// placing is one of them. Until Run it has a copy of what it needs: the session may end.
type placing struct {
	conn     *smtpConn
	places   router.Placement
	rcpts    []smtp.RcptArgs
	mayRelay bool
	then     func(looped int)

	looped int
	err    error
}

// placeAgain has all recipients placed anew after change, then calls then on the loop with
// the number of them that are in a loop. The session has to wait, or be about to.
func (s *smtpConn) placeAgain(change func(*router.Placement), then func(looped int)) {
	p := &placing{conn: s, places: s.tx.places, rcpts: s.m.Transaction().Recipients, mayRelay: s.tx.mayRelay(), then: then}
	p.places.Targets = nil // the session's own
	change(&p.places)
	if s.isStrange() {
		s.srv.placers.SubmitLast(p)
	} else {
		s.srv.placers.Submit(p)
	}
}

// Unqueued implements conn.Job.
func (p *placing) Unqueued() {
	p.err = fmt.Errorf("%w: %d transactions are being placed", storage.ErrTemporary, maxPlacing)
	p.conn.shard.loop.Post(p)
}

// Work implements conn.Job.
func (p *placing) Work() {
	defer p.conn.shard.loop.Post(p)
	defer func() {
		if fault := recover(); fault != nil {
			p.err = fmt.Errorf("%w: %w", storage.ErrTemporary, p.conn.srv.log.panicked("the placing of recipients", fault))
		}
	}()
	p.looped = p.places.Again(p.conn.srv.router, p.rcpts, p.mayRelay)
}

// Run implements loop.Task: the places are there.
func (p *placing) Run() {
	s := p.conn
	if !s.Conn.Alive() {
		return
	}
	if p.err != nil {
		s.resume(smtpd.Answer{Verdict: verdictOf(p.err)})
		return
	}
	s.tx.places = p.places
	p.then(p.looped)
}

// store has the finished message stored, after a look at whether it goes round in a loop.
// The answer comes as a task.
func (s *smtpConn) store() {
	head := &s.m.Transaction().Head
	if !s.tx.places.Forwards() || head.Deliveries() == 0 {
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
