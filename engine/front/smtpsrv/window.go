package smtpsrv

import (
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
)

// hasRoom reports whether the session may take message octets. When it may not yet, it
// waits, and goes on by itself.
func (s *session) hasRoom() bool {
	full := s.tx != nil && s.tx.IsFull()
	if !full && s.readLimit() > 0 {
		return true
	}
	if full || s.window.Octets() == budget.LargeWindow {
		s.Park()
		s.tx.Notify(budget.LargeWindow/4, s.writerHasTaken)
		return false
	}
	if s.window.Ask(s.service.memory, s.state.Loop, (*windowGranted)(s)) {
		return true
	}
	s.service.Stats.OverBudget.Add(1)
	s.Park()
	return false
}

// readLimit is how many message octets the session may read now.
func (s *session) readLimit() int {
	left := s.window.Octets()
	if s.tx != nil {
		left -= s.tx.Backlog()
	}
	return int(max(left, 0))
}

// settleWindow gives the window back between messages, unless there is unread input that
// was read against it: the next message is in it.
func (s *session) settleWindow() {
	if s.Unread <= conn.CommandRead {
		s.releaseWindow()
	}
}

// releaseWindow gives the window back, or stops waiting for it.
func (s *session) releaseWindow() { s.window.Release(s.service.memory) }

// writerHasTaken runs on another goroutine: the store has taken enough of the draft, or the
// check has read enough of the message.
func (s *session) writerHasTaken() { s.state.Post((*windowGranted)(s)) }

// windowGranted is the task that lets a session go on: it has the window that it asked for,
// or writerHasTaken was called.
type windowGranted session

// Run implements loop.Task.
func (g *windowGranted) Run() {
	s := (*session)(g)
	s.window.Grow(s.service.memory)
	if !s.Conn.Alive() {
		s.releaseWindow()
		return
	}
	s.EndWait()
}
