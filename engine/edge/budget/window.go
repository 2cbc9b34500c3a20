package budget

import "postrider/engine/edge/loop"

// Window is what a session holds of the budget while it receives messages: an
// upper bound of the octets that it has read, and that the store's writer has not
// taken yet. What it may read is what the window has left, so the memory for
// messages on their way in stays inside limits.memory whatever the peers send.
// It belongs to the goroutine of its session.
type Window struct {
	octets int64 // 0, SmallWindow (of Memory.Begin) or LargeWindow (of Memory.Bulk)
	asked  int64 // waited for in a ledger's queue
	waiter Waiter
}

const (
	// SmallWindow is enough for a message that turns out small.
	SmallWindow = 16 << 10
	// LargeWindow is what a session may hold from then on: some chunks of the store in
	// flight, so that the disk and the network overlap.
	LargeWindow = 256 << 10
)

// Octets is the size of the window.
func (w *Window) Octets() int64 { return w.octets }

// Ask asks for the next size, and reports whether the window has it now. Otherwise t is posted
// to l when there is room, and calls Grow.
func (w *Window) Ask(m Memory, l *loop.Loop, t loop.Task) bool {
	w.asked = SmallWindow
	if w.octets == SmallWindow {
		w.asked = LargeWindow
	}
	w.waiter.Loop, w.waiter.Task = l, t
	if !m.ledgerOf(w.asked).Wait(&w.waiter, w.asked) {
		return false
	}
	w.Grow(m)
	return true
}

// Grow puts the window that was asked for, if one was, in the place of the old one.
func (w *Window) Grow(m Memory) {
	if w.asked == 0 {
		return
	}
	m.ledgerOf(w.octets).Release(w.octets)
	w.octets, w.asked = w.asked, 0
}

// Release gives the window back, also one that is still waited for.
func (w *Window) Release(m Memory) {
	if w.asked > 0 && m.ledgerOf(w.asked).Cancel(&w.waiter) {
		w.asked = 0
	}
	m.ledgerOf(w.octets).Release(w.octets)
	w.octets = 0
}

// ledgerOf is where a window of that size is booked.
func (m Memory) ledgerOf(window int64) *Ledger {
	if window == LargeWindow {
		return m.Bulk
	}
	return m.Begin
}
