package incoming

import (
	"fmt"

	"postrider/codec/smtp"
	"postrider/storage"
)

// Facts that are known only at the end of a message may change where it goes: it was at an
// alias before (Delivered-To), or its sender may be notified of success. Then all recipients
// are routed again. There may be thousands of them, at aliases with thousands of members, so
// this is work for the pool of Entrance.Place.

// routeForwarded routes the recipients again if the message was at an alias before. It
// refuses the message if each of its recipients is an alias that has sent it elsewhere
// before. If there are other recipients the message is accepted, and its sender gets a
// notification.
func (m *Message) routeForwarded() bool {
	rcpts := m.end.Recipients
	if len(rcpts) == 0 || !m.Places.Forwards() || m.head.Deliveries() == 0 {
		return true
	}
	m.Places.Been = m.head.DeliveredTo
	return m.routeAgain(func(looped int) bool {
		if looped < len(rcpts) {
			return true
		}
		return m.refuse(&smtp.Reply{Code: 554, Enhanced: "5.4.6", Text: "Mail forwarding loop for " + rcpts[0].To.String()})
	})
}

// routeNotified routes the recipients again if the sender may be notified of success.
// NOTIFY=SUCCESS counts for a client that may relay, and for another one if the check lets
// it.
func (m *Message) routeNotified() bool {
	if m.check == nil || !m.Places.WantsSuccess() || !m.check.MayNotify() {
		return true
	}
	m.Places.NoSuccess = false
	return m.routeAgain(func(int) bool {
		m.check.Notified(m.Places.Successes())
		return true
	})
}

// routeAgain routes the recipients in the pool, and calls then with the number of recipients
// that are in a loop. then returns what a step returns.
func (m *Message) routeAgain(then func(looped int) bool) bool {
	m.in.Place(m.untrusted, func() {
		if m.dropped.Load() || m.route(then) {
			m.goOn()
		}
	}, func() {
		m.fail(fmt.Errorf("%w: too many messages wait to be routed again", storage.ErrTemporary))
	})
	return false
}

// route runs on a pool goroutine.
func (m *Message) route(then func(looped int) bool) (goes bool) {
	defer func() {
		if p := recover(); p != nil {
			goes = m.fail(m.in.panicked("the routing of recipients", p))
		}
	}()
	return then(m.Places.Again(m.in.Router, m.end.Recipients, m.mayRelay))
}
