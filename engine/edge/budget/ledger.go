package budget

import (
	"fmt"
	"sync"
	"sync/atomic"

	"postrider/engine/edge/loop"
)

// Ledger is a budget in octets. Its methods may be called from any goroutine and
// block for no longer than a short critical section.
type Ledger struct {
	max     atomic.Int64
	used    atomic.Int64
	waiting atomic.Int64 // waiters in the queue, or about to be

	mu          sync.Mutex
	first, last *Waiter // the queue; guarded by mu
}

// Waiter is a session's place in the queue. It is part of the session, so that
// waiting allocates nothing. The owner sets Loop and Task once; Task is posted to
// Loop when the reservation has been made, and owns it from then on.
type Waiter struct {
	Loop *loop.Loop
	Task loop.Task

	n          int64   // octets waited for; 0: not in the queue. Guarded by Ledger.mu,
	prev, next *Waiter // as these are
}

// NewLedger returns a budget of max octets.
func NewLedger(max int64) *Ledger {
	l := new(Ledger)
	l.max.Store(max)
	return l
}

// Max returns the size of the budget in octets.
func (l *Ledger) Max() int64 { return l.max.Load() }

// SetMax changes the size. What is reserved stays reserved, also beyond a smaller size: until
// enough of it is released nothing more is reserved. A larger size is for callers that wait
// first.
func (l *Ledger) SetMax(max int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max.Store(max)
	l.serve()
}

// Used returns the octets that are reserved now.
func (l *Ledger) Used() int64 { return l.used.Load() }

// Reserve reserves n octets, or reports false if there is no room for them or
// another caller waits for room.
func (l *Ledger) Reserve(n int64) bool {
	return l.waiting.Load() == 0 && l.add(n)
}

// Release gives n octets back, which were reserved before in any portions, and
// makes the reservations of callers that wait for them.
func (l *Ledger) Release(n int64) {
	if n < 0 || l.used.Add(-n) < 0 {
		panic(fmt.Sprintf("BUG: release of %d octets that were not reserved in the ledger", n))
	}
	if l.waiting.Load() > 0 {
		l.mu.Lock()
		l.serve()
		l.mu.Unlock()
	}
}

// Wait reserves n octets at once and reports true, or queues w and reports false;
// then its task is posted once the octets are reserved for it. w must not be
// waiting already, and n must not exceed the smallest budget that there may be, for which
// one would wait for ever.
func (l *Ledger) Wait(w *Waiter, n int64) bool {
	if n <= 0 || n > l.Max() {
		panic(fmt.Sprintf("BUG: waiting for %d octets of a budget of %d", n, l.Max()))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.n != 0 {
		panic("BUG: the waiter is waiting already")
	}
	l.waiting.Add(1) // before looking for room: see Release
	if l.first == nil && l.add(n) {
		l.waiting.Add(-1)
		return true
	}
	w.n = n
	l.push(w)
	return false
}

// Cancel takes w out of the queue and reports true. It reports false if w is not
// there: then its task was posted, or is about to be, and still has to release
// what it owns.
func (l *Ledger) Cancel(w *Waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.n == 0 {
		return false
	}
	l.remove(w)
	l.serve() // it may have stood before a smaller wish
	return true
}

// add reserves n octets if there is room.
func (l *Ledger) add(n int64) bool {
	for {
		used := l.used.Load()
		if n > l.Max()-used {
			return false
		}
		if l.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// serve makes the reservations at the head of the queue, for as many as there is
// room, and posts their tasks. A loop that has ended gives its octets to the
// next. l.mu is held, for the order of the posts is the order of the queue.
func (l *Ledger) serve() {
	for l.first != nil && l.add(l.first.n) {
		w, n := l.first, l.first.n
		l.remove(w)
		if !w.Loop.Post(w.Task) {
			l.used.Add(-n)
		}
	}
}

func (l *Ledger) push(w *Waiter) {
	w.prev = l.last
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
}

func (l *Ledger) remove(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.n, w.prev, w.next = 0, nil, nil
	l.waiting.Add(-1)
}
