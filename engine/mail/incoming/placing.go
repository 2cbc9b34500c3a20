package incoming

import (
	"fmt"

	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Replaced is where the recipients of a message lead when they are placed anew.
type Replaced struct {
	Places router.Placement // for Message.Places, on the goroutine of the Message
	Looped int              // recipients that are in a loop
	Err    error
}

// PlaceAgain has all recipients placed anew after change. What is known of a message at
// its end may change where it goes: it was at an alias before (Delivered-To), or its sender
// is told of success. There may be thousands of recipients, at aliases with thousands of
// members, so run has the work done by a bounded pool, or calls full when there is no room.
//
// The work has a copy: the Message stays the caller's, who may drop it meanwhile. then is
// called once, on the goroutine of the pool, or at once when there is no room.
func (m *Message) PlaceAgain(rcpts []smtp.RcptArgs, change func(*router.Placement), run func(work, full func()), then func(Replaced)) {
	r, in, mayRelay := Replaced{Places: m.Places}, m.in, m.mayRelay
	r.Places.Targets = nil // the Message's own
	change(&r.Places)
	run(func() {
		defer func() {
			if p := recover(); p != nil {
				r.Err = in.panicked("the placing of recipients", p)
			}
			then(r)
		}()
		r.Looped = r.Places.Again(in.Router, rcpts, mayRelay)
	}, func() {
		r.Err = fmt.Errorf("%w: too many transactions are being placed", storage.ErrTemporary)
		then(r)
	})
}
