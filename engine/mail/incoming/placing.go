package incoming

import (
	"fmt"

	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Replaced is what PlaceAgain returns.
type Replaced struct {
	Places router.Placement // for Message.Places, on the Message's goroutine
	Looped int              // recipients that are in a loop
	Err    error
}

// PlaceAgain routes all recipients again after change. Facts that are known only at the end
// of a message may change its routing: it was at an alias before (Delivered-To), or its
// sender may get success notifications. There may be thousands of recipients, at aliases
// with thousands of members. So run gives the work to a bounded pool, or calls full when
// there is no room.
//
// The work has a copy: the Message stays the caller's, and may be dropped meanwhile. then is
// called once, on the pool goroutine, or at once when there is no room.
func (m *Message) PlaceAgain(rcpts []smtp.RcptArgs, change func(*router.Placement), run func(work, full func()), then func(Replaced)) {
	r, in, mayRelay := Replaced{Places: m.Places}, m.in, m.mayRelay
	r.Places.Targets = nil // the slice belongs to the Message
	change(&r.Places)
	run(func() {
		defer func() {
			if p := recover(); p != nil {
				r.Err = in.panicked("the routing of recipients", p)
			}
			then(r)
		}()
		r.Looped = r.Places.Again(in.Router, rcpts, mayRelay)
	}, func() {
		r.Err = fmt.Errorf("%w: too many messages wait to be routed again", storage.ErrTemporary)
		then(r)
	})
}
