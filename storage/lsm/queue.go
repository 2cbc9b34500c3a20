package lsm

import (
	"sync"

	"postrider/storage"
)

// op is one thing for the committer to do. Exactly one of the fields is set.
type op struct {
	chunk    chunk             // a sealed piece of a draft
	delivery *storage.Delivery // a finished draft
	discard  *draft            // a draft to be dropped
	call     *call             // a change that a goroutine waits for
	sleep    *sleeper          // a destination of the mail queue that is given back
	login    *loginNote        // an account has logged in
}

// queue is the way to the committer: many put, one takes. Putting never blocks.
// What bounds it is counted elsewhere: deliveries by maxInFlight, chunks by the
// backlog that the edge allows a draft, calls by the goroutines that wait in them,
// sleepers by the destinations that the scheduler has, logins by the accounts.
type queue struct {
	mu     sync.Mutex
	filled sync.Cond // ops is not empty, or closed
	ops    []op
	closed bool
}

func newQueue() *queue {
	q := new(queue)
	q.filled.L = &q.mu
	return q
}

// put adds an op; false after close.
func (q *queue) put(o op) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.ops = append(q.ops, o)
	wake := len(q.ops) == 1
	q.mu.Unlock()
	if wake {
		q.filled.Signal()
	}
	return true
}

// wait waits until there are ops, and returns how many; 0: closed and empty.
func (q *queue) wait() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ops) == 0 && !q.closed {
		q.filled.Wait()
	}
	return len(q.ops)
}

// take returns all ops; spare, which take may keep, gets the next ones.
func (q *queue) take(spare []op) []op {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	ops := q.ops
	q.ops = spare[:0]
	return ops
}

// close lets wait return 0 once the queue is empty.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.filled.Broadcast()
}
