package loop

import (
	"sync"

	"golang.org/x/sys/unix"
)

// maxTasks bounds the tasks that a loop runs before it looks at its connections
// again.
const maxTasks = 1024

// mailbox is the way into a loop for other goroutines: a list under a mutex and
// an eventfd in the loop's poller.
//
// The poller has a task queue of its own (Trigger). It is not used: it is drained
// until it is empty, so a task that posts itself again would starve the loop's
// connections, and its tasks swap places under load. The eventfd is registered
// edge-triggered: each write is one event, and it need not be read.
type mailbox struct {
	eventfd int

	mu     sync.Mutex
	posted []Task // guarded by mu
	ended  bool   // guarded by mu

	batch []Task // taken from posted; of the loop's goroutine
	next  int    // batch[next:] is still to run
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0} // little or big endian: not 0

// wake makes the loop have a turn with its mailbox. Only closing the eventfd can
// make the write fail, and then no loop is left to wake.
func (m *mailbox) wake() { _, _ = unix.Write(m.eventfd, one) }

// post appends t and reports whether the mailbox is still open. The eventfd is
// written under the mutex, for after end the loop closes it.
func (m *mailbox) post(t Task) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return false
	}
	m.posted = append(m.posted, t)
	if len(m.posted) == 1 {
		m.wake()
	}
	return true
}

// take returns the next task, or nil if there is none now.
func (m *mailbox) take() Task {
	if m.next == len(m.batch) {
		m.refill()
		if len(m.batch) == 0 {
			return nil
		}
	}
	t := m.batch[m.next]
	m.batch[m.next] = nil
	m.next++
	return t
}

// refill swaps the two lists, whose memory is used again unless a burst made it
// large.
func (m *mailbox) refill() {
	spare := m.batch[:0]
	if cap(spare) > 4*maxTasks {
		spare = nil
	}
	m.mu.Lock()
	m.batch, m.posted = m.posted, spare
	m.mu.Unlock()
	m.next = 0
}

// rest reports whether tasks of the batch are left for another turn. What was
// posted since has woken the loop by itself.
func (m *mailbox) rest() bool { return m.next < len(m.batch) }

// end closes the mailbox: nothing is posted to it any more, and the eventfd is the
// loop's alone.
func (m *mailbox) end() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
}
