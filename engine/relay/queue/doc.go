// Package queue decides when mail for other hosts is tried, by which session, and what
// becomes of it: the schedule of a message and the scheduler of all of them. It
// is pure: it is told what happened and at what time, and returns what to do.
//
// # The life of an entry
//
// An entry of the queue (storage.QueueEntry: a message and its recipients at one
// destination) is tried at once, and again after each wait of the schedule (15
// minutes). An attempt that fails after the message is older than WarnAfter (4
// hours) has the sender warned, once; one that fails at the end of its Lifetime (5
// days) has the message returned. [Policy.Judge] makes of an attempt the
// Settlement and the notices that go with it, in one step of the store.
//
// # Words
//
// A destination is a domain: the store's queue is ordered by it. A site is a next
// hop, where the router sends the mail of a destination now; nothing is kept of
// that between attempts. Most sites have one destination, a smarthost has all. A
// session is a connection to a site, or the attempt to make one. A job is an
// entry that is in memory.
//
// # What is in memory
//
// Only a window: of each destination that is awake a few entries, in the order in
// which they are due; when half of them are gone the next ones are loaded. A
// destination of which nothing is due, or whose site is dead, is put to sleep and
// forgotten: the store wakes it. So 10 million entries cost what MaxEntries
// entries cost.
//
// # Concurrency
//
// As Postfix's queue manager does it: a site begins with Initial sessions at once;
// each delivery widens its window by 1/window, so that a window's worth of
// deliveries adds one session; failures of the host narrow it likewise. When a
// window's worth of them came in a row the site is dead: its jobs leave memory,
// its destinations sleep, and nothing is tried until a wait of the schedule has
// passed. Then one session probes it; what it brings decides for all. What a host
// replies to a message or a recipient (greylisting, an unknown user) tells nothing about
// the host: it is alive.
//
// # Dropped
//
// Entries ordered by due time over all destinations, with a window over that
// order, were designed first. A dead destination with many entries then fills the
// window again and again, and each of its entries has to be written at each
// retry. Ordered by destination it costs one look.
package queue
