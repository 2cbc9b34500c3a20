package engine

import (
	"sync/atomic"

	"postrider/engine/ledger"
)

// budget is limits.memory in four ledgers. They are apart so that no holder of
// a part waits for more of the same: a session whose message turns out
// large waits for the bulk ledger with its small window in hand, and those who
// hold bulk wait for nothing but the disk and their peer. With one ledger for all,
// enough small windows would wait for each other for ever.
//
// Pages of the web client and answers of the capture API take from bulk as well, at most
// two thirds of it, and never wait in its queue: a page that finds no room is refused.
type budget struct {
	begin    *ledger.Ledger // a quarter: a small window for each message that begins
	bulk     *ledger.Ledger // three eighths: large windows, and buffers of POP3 sessions that read
	listings *ledger.Ledger // a quarter: listings of open maildrops
	held     *ledger.Ledger // an eighth: recipients of open transactions, and checks of strangers' messages
	pages    *pageBudget    // of bulk
}

func newBudget(octets int64) budget {
	bulk := ledger.New(octets / 8 * 3)
	return budget{
		begin: ledger.New(octets / 4), bulk: bulk, listings: ledger.New(octets / 4), held: ledger.New(octets / 8),
		pages: &pageBudget{bulk: bulk, max: octets / 4},
	}
}

// pageBudget is the part of a ledger that pages may take. It implements web.Budget.
type pageBudget struct {
	bulk *ledger.Ledger
	max  int64
	used atomic.Int64
}

// Reserve takes octets, or says that there is no room for them.
func (p *pageBudget) Reserve(octets int64) bool {
	if p.used.Add(octets) <= p.max && p.bulk.Reserve(octets) {
		return true
	}
	p.used.Add(-octets)
	return false
}

// Release gives octets back.
func (p *pageBudget) Release(octets int64) {
	p.used.Add(-octets)
	p.bulk.Release(octets)
}

func (b budget) used() int64 {
	return b.begin.Used() + b.bulk.Used() + b.listings.Used() + b.held.Used()
}

// tight says whether a message that begins now would have to wait soon.
func (b budget) tight() bool { return b.begin.Used() > b.begin.Max()/10*9 }

// window is what a session holds of the budget while it receives messages: an
// upper bound of the octets that it has read, and that the store's writer has not
// taken yet. What it may read is what the window has left, so the memory for
// messages on their way in stays inside limits.memory whatever the peers send.
type window struct {
	octets int64 // 0, smallWindow (of budget.begin) or largeWindow (of budget.bulk)
	asked  int64 // waited for in a ledger's queue
	waiter ledger.Waiter
}

const (
	// smallWindow is enough for a message that turns out small; largeWindow is what
	// a session may hold from then on: some chunks of the store in flight, so that
	// the disk and the network overlap.
	smallWindow = 16 << 10
	largeWindow = 256 << 10
)

// ledgerOf is where a window of that size is booked.
func (b budget) ledgerOf(window int64) *ledger.Ledger {
	if window == largeWindow {
		return b.bulk
	}
	return b.begin
}

// room makes sure that the session may take message octets. When it may not yet,
// it waits, and goes on by itself.
func (s *smtpConn) room() bool {
	if s.checkIsBehind() {
		s.park()
		return false
	}
	if s.readLimit() > 0 {
		return true
	}
	w := &s.window
	switch w.octets {
	case 0:
		w.asked = smallWindow
	case smallWindow:
		w.asked = largeWindow
	default:
		s.park()
		s.tx.Notify(largeWindow/4, s.writerHasTaken)
		return false
	}
	w.waiter.Loop, w.waiter.Task = s.shard.loop, (*windowGranted)(s)
	if s.srv.budget.ledgerOf(w.asked).Wait(&w.waiter, w.asked) {
		s.grow()
		return true
	}
	s.srv.stats.overBudget.Add(1)
	s.park()
	return false
}

// grow puts the window that was asked for, if one was, in the place of the old one.
func (s *smtpConn) grow() {
	w := &s.window
	if w.asked == 0 {
		return
	}
	s.srv.budget.ledgerOf(w.octets).Release(w.octets)
	w.octets, w.asked = w.asked, 0
}

// readLimit is how many message octets the session may read now.
func (s *smtpConn) readLimit() int {
	left := s.window.octets
	if s.tx != nil {
		left -= s.tx.Backlog()
	}
	return int(max(left, 0))
}

// settleWindow gives the window back between messages, unless unread input that
// was read against it is still there: the next message is in it.
func (s *smtpConn) settleWindow() {
	if s.unread <= commandRead {
		s.releaseWindow()
	}
}

// releaseWindow gives the window back, also one that is still waited for.
func (s *smtpConn) releaseWindow() {
	w := &s.window
	if w.asked > 0 && s.srv.budget.ledgerOf(w.asked).Cancel(&w.waiter) {
		w.asked = 0
	}
	s.srv.budget.ledgerOf(w.octets).Release(w.octets)
	w.octets = 0
}

// writerHasTaken runs on a goroutine of the store: the backlog has gone down.
func (s *smtpConn) writerHasTaken() { s.shard.loop.Post((*windowGranted)(s)) }

// windowGranted is the task that lets a session go on: what it asked the ledger
// for is its own, or the writer has taken enough of its draft.
type windowGranted smtpConn

// Run implements loop.Task.
func (g *windowGranted) Run() {
	s := (*smtpConn)(g)
	s.grow()
	if !s.conn.Alive() {
		s.releaseWindow()
		return
	}
	s.goOn()
}
