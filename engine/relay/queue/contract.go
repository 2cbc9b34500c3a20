package queue

import (
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// Config is what a Scheduler has to know.
type Config struct {
	Policy   Policy
	Initial  int // sessions of a site at first
	PerSite  int // sessions of a site at most
	Sessions int // in all
	// Strange is how many of the Sessions the sites may have that are not known, and
	// sessions that are at one message for long; 0: all of them.
	Strange int
	// Named reports whether the operator named a next hop: it counts as known.
	Named              func(router.Hop) bool
	MessagesPerSession int
	Rate               int // messages a second to a site; 0: no limit
	MaxEntries         int // jobs in memory
	// Limits are of single sites, by Hop.String: they go over PerSite and Rate.
	Limits map[string]Limit
	// NextHop routes mail for a destination from a reverse-path. BySender means that
	// the reverse-path may matter.
	NextHop  func(domain, reversePath string) router.Hop
	BySender bool
	// Random is a number from 0 to 1.
	Random func() float64
}

// Limit is a site's own; 0: the general one.
type Limit struct{ Rate, Sessions int }

// Job is an entry in memory. It belongs to the session that has it.
type Job struct {
	Entry *storage.QueueEntry
	Hop   router.Hop

	domain *domain
	moved  *storage.QueueEntry // the same entry, made due by an operator meanwhile
}

// Session is a connection to a site, or the attempt to make one.
type Session struct {
	// Handle is the caller's.
	Handle any

	site *site
	sent int
	idle bool
	slot
}

// Fault is what is wrong with a host, in an enhanced status code and words.
type Fault struct{ Status, Text string }

// Effects is what a call of the Scheduler wants done. The caller owns it and
// empties it (Reset) when it has done so.
type Effects struct {
	// Load: read the due entries of these destinations and report them by Loaded.
	Load []Load
	// Sleep: put these destinations to sleep in the store.
	Sleep []Sleep
	// Start: begin a session with its first job. Assign: give a job to a session
	// that is idle. Close: end a session that is idle.
	Start  []Assignment
	Assign []Assignment
	Close  []*Session
	// Postpone: settle these entries by Postpone, then report them by Postponed.
	Postpone []Postponed
}

// Load is a destination to be read.
type Load struct {
	Domain string
	After  storage.Cursor
	Limit  int
}

// Sleep is a destination to be put to sleep; see storage.Queue.Sleep.
type Sleep struct {
	Domain    string
	After     storage.Cursor
	NotBefore time.Time
}

// Assignment is a job for a session.
type Assignment struct {
	Session *Session
	Job     *Job
}

// Postponed is a job that is not tried: its site is dead until Due.
type Postponed struct {
	Job   *Job
	Due   time.Time
	Fault Fault
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() {
	clear(e.Start)
	clear(e.Assign)
	clear(e.Close)
	clear(e.Postpone)
	*e = Effects{
		Load: e.Load[:0], Sleep: e.Sleep[:0], Start: e.Start[:0], Assign: e.Assign[:0],
		Close: e.Close[:0], Postpone: e.Postpone[:0],
	}
}

// HostVerdict is what a session found out about the host, apart from the message.
type HostVerdict uint8

// The verdicts on a host.
const (
	// HostOK: the host took part in the delivery to its end, whatever it replied to
	// the message. The session may have another job.
	HostOK HostVerdict = iota
	// HostDone: likewise, but the session is over.
	HostDone
	// HostDown: it could not be reached, or broke off. The session is over.
	HostDown
	// HostUnknown: the session is over, and nothing was learned of the host: it was
	// not asked.
	HostUnknown
	// HostBusy: likewise, because its address has as many connections from us as one
	// address may have. The site waits for BusyWait.
	HostBusy
)

// BusyWait is how long a site waits when its address has no room for more connections.
const BusyWait = 10 * time.Second

// SiteStatus is a site as an operator sees it.
type SiteStatus struct {
	Hop      string
	Jobs     int // in memory
	Sessions int
	Window   int       // sessions that it may have
	DeadTill time.Time // zero: it is not dead
	Fault    Fault     // that it died of
	Waits    string    // why it has no session, in words; "": it does not wait for one
}
