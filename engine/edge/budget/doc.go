// Package budget bounds memory: all that peers can make the server keep is booked in
// limits.memory.
//
//   - [Memory] is limits.memory in four ledgers.
//   - [Ledger] is one budget of octets, with a queue of callers that wait.
//   - [Share] and [Pages] are parts of a ledger for some users of it.
//   - [Window] is what a session holds while it receives messages.
//   - [Buffers] is a free list of buffers of one size.
//
// # A ledger
//
// A session reserves before it lets its connection read (Conn.SetReadLimit), and
// releases when the store has what it sent. The fast path is Reserve, one atomic
// operation. A session that is refused pauses its connection and calls Wait with
// its Waiter; the ledger posts the waiter's task to its loop when the reservation
// has been made for it. A session that ends while waiting calls Cancel.
//
//	if !budget.Reserve(n) && !budget.Wait(&s.waiter, n) {
//		c.Pause() // s.waiter.Task resumes, and has n octets
//	}
//
// # What it promises
//
// The sum of what is reserved never exceeds the maximum.
//
// No waiter starves: waiters are served strictly first come, first served. While
// there is one, Reserve refuses every request, however small; the first waiter's
// reservation is made before anything is posted, so it can't lose a race for it
// after it woke up. The price is that a large wish at the head keeps smaller ones
// waiting although there would be room for them.
//
// No wake-up is lost: Wait counts itself before it looks for room and Release
// makes room before it looks for waiters, so one of the two sees the other.
//
// # What it asks for
//
// What is reserved must be released by work that needs no further reservation, or
// sessions that each hold a part could wait for each other for ever. Chunks of a
// body are released one by one as the store takes them, not when the message is
// complete.
//
// # Tried and dropped
//
// Waking waiters to try again: cheaper to write, but a new session can take the
// room before the woken one runs, and with many sessions it does, every time.
package budget
