package server

import (
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
)

// room makes sure that the session may take message octets. When it may not yet,
// it waits, and goes on by itself.
func (s *smtpConn) room() bool {
	if s.checkIsBehind() {
		s.Park()
		return false
	}
	if s.readLimit() > 0 {
		return true
	}
	if s.window.Octets() == budget.LargeWindow {
		s.Park()
		s.tx.Notify(budget.LargeWindow/4, s.writerHasTaken)
		return false
	}
	if s.window.Ask(s.srv.budget, s.shard.loop, (*windowGranted)(s)) {
		return true
	}
	s.srv.stats.overBudget.Add(1)
	s.Park()
	return false
}

// readLimit is how many message octets the session may read now.
func (s *smtpConn) readLimit() int {
	left := s.window.Octets()
	if s.tx != nil {
		left -= s.tx.Backlog()
	}
	return int(max(left, 0))
}

// settleWindow gives the window back between messages, unless unread input that
// was read against it is still there: the next message is in it.
func (s *smtpConn) settleWindow() {
	if s.Unread <= conn.CommandRead {
		s.releaseWindow()
	}
}

// releaseWindow gives the window back, also one that is still waited for.
func (s *smtpConn) releaseWindow() { s.window.Release(s.srv.budget) }

// writerHasTaken runs on a goroutine of the store: the backlog has gone down.
func (s *smtpConn) writerHasTaken() { s.shard.loop.Post((*windowGranted)(s)) }

// windowGranted is the task that lets a session go on: what it asked the ledger
// for is its own, or the writer has taken enough of its draft.
type windowGranted smtpConn

// Run implements loop.Task.
func (g *windowGranted) Run() {
	s := (*smtpConn)(g)
	s.window.Grow(s.srv.budget)
	if !s.Conn.Alive() {
		s.releaseWindow()
		return
	}
	s.EndWait()
}
