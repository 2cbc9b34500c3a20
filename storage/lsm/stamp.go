package lsm

import (
	"sync"
	"time"

	"postrider/storage"
)

// stamps is the clock of the queue, in microseconds since 1970. It never goes
// back, whatever the machine's clock does, and it gives two promises that make the
// Cursor of a reader safe:
//
//   - a stamp is later than any stamp and any horizon before it;
//   - a horizon is earlier than every stamp that was given and is not in a row
//     that can be read yet.
//
// So no row is ever put before one that a reader has been shown. Without the
// second promise an entry that was stamped, but not applied yet, could be put
// before one that fell due meanwhile and that a reader has passed.
//
// # Steps of the machine's clock
//
// While the two clocks are within stampStep of each other they show the same: if the
// machine's is ahead it is followed, and if it is late the stamps wait for it. When
// it steps further, forward or back, the stamps go on at the pace of time as it passes
// (Go's monotonic clock), from where they are, and the lead is what they are ahead.
// An entry waits in the queue as long as it was meant to, and no message is older than
// the time that it has really waited: a clock that is a week ahead for an hour makes
// nothing due, delays nothing and has nothing returned to its sender.
//
// Due times in rows are by this clock. Times from callers are by the machine's clock and
// are converted when they come in (see of); entries that callers read have the lead with
// them (storage.QueueEntry.Ahead).
//
// Two other ways were rejected. Rewriting entries that are due too late, whenever the
// clock has stepped, costs a pass over the queue, and readers with a cursor would meet
// rows before it. Stamps that just follow the later of the two clocks, as they once did,
// do not move for as long as the clock had been ahead, and neither do deferred entries.
type stamps struct {
	now  func() time.Time
	pass func() time.Duration // time as it passes, in tests; nil: as now has it
	mu   sync.Mutex
	last uint64
	open uint64 // the first stamp that is not applied; 0: all are

	// since and from are a moment, and what last was then, after which last has gone
	// on by time as it passes.
	since time.Time
	mark  time.Duration // pass() at since
	from  uint64
	// lead is how far last is ahead of the machine's clock, in microseconds; 0 within
	// stampStep.
	lead int64

	// bound is above all stamps on the disk; the batch that first needs it moves it,
	// as for ids. A process begins there: a due time is the fence of an entry, and
	// must not come back after a restart with a clock that stopped, or was put back.
	bound uint64
}

// stampReserve is how far ahead of the newest stamp the bound is put: 1 s.
const stampReserve = 1_000_000

// stampStep is how far the machine's clock may be from the stamps before it has
// stepped: more than normal corrections of a clock, and more than many starts in a short
// time are ahead, each of which begins after the reserve of the start before.
const stampStep = 120_000_000

// idsApart is how far ids may be ahead of the machine's clock before stamps begin after
// them, too. Each start puts ids ahead by their reserve, of 10 s.
const idsApart = 3600 * 1_000_000

// longestGap is the most that mail in the queue ages over a start. A server that was
// off for longer, or starts with a wrong clock, would otherwise give up all waiting mail
// after one more attempt, or none.
const longestGap = 24 * 3600 * 1_000_000

// begin makes stamps continue after the stamps of the processes before. ages: there is mail
// in the queue, or something else that is deleted when it is old.
func (s *stamps) begin(bound uint64, ages bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.bound, s.last = bound, max(bound, micros(now))
	if ages && bound > 0 {
		s.last = min(s.last, bound+longestGap)
	}
	s.goOnFrom(now)
	s.lead = leadOf(s.last, now)
}

// goOnFrom makes last continue from here by time as it passes.
func (s *stamps) goOnFrom(now time.Time) {
	s.since, s.from = now, s.last
	if s.pass != nil {
		s.mark = s.pass()
	}
}

// passed is the time since goOnFrom. It is below 0 if now has no monotonic reading, and
// went back.
func (s *stamps) passed(now time.Time) time.Duration {
	if s.pass != nil {
		return s.pass() - s.mark
	}
	return now.Sub(s.since)
}

// advance brings last up to the time, and returns the machine's time.
func (s *stamps) advance() time.Time {
	now := s.now()
	if s.since.IsZero() {
		s.last = max(s.last, micros(now))
		s.goOnFrom(now)
	}
	next := s.from
	if d := s.passed(now); d >= 0 {
		next += uint64(d.Microseconds()) //nolint:gosec // not below 0
	} else {
		next = s.last
		s.goOnFrom(now)
	}
	if s.lead = leadOf(next, now); s.lead != 0 {
		s.last = max(s.last, next)
		return now
	}
	s.last = max(s.last, micros(now))
	s.goOnFrom(now)
	return now
}

// leadOf is how far a stamp is ahead of the machine's clock; 0: no more than clocks are
// corrected by.
func leadOf(stamp uint64, now time.Time) int64 {
	lead := int64(stamp - micros(now)) //nolint:gosec // two times since 1970
	if -stampStep <= lead && lead <= stampStep {
		return 0
	}
	return lead
}

// reserve moves the bound if a stamp that is not applied has reached it.
func (s *stamps) reserve() (bound uint64, moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == 0 || s.last < s.bound {
		return 0, false
	}
	s.bound = s.last + stampReserve
	return s.bound, true
}

// next gives a stamp.
func (s *stamps) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.last
	s.advance()
	s.last = max(s.last, before+1)
	if s.open == 0 {
		s.open = s.last
	}
	return s.last
}

// applied notes that the rows with all stamps so far can be read.
func (s *stamps) applied() {
	s.mu.Lock()
	s.open = 0
	s.mu.Unlock()
}

// read is the time.
func (s *stamps) read() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	return s.last
}

// horizon is the time up to which entries that are due can be read.
func (s *stamps) horizon() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	if s.open != 0 {
		return s.open - 1
	}
	return s.last
}

// clock is the time as ids have it.
func (s *stamps) clock() time.Time { return time.UnixMicro(int64(s.read())) } //nolint:gosec // since 1970

// of converts a time by the machine's clock into a stamp; the zero time is 0. A time from
// time.Now is converted rightly also if the clock has stepped since.
func (s *stamps) of(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	away := t.Sub(now) // by the monotonic clock, if both have it
	stepped := t.Round(0).Sub(now.Round(0)) - away
	if s.lead == 0 && stepped.Abs() < stampStep*time.Microsecond {
		return micros(t)
	}
	return uint64(max(int64(s.last)+away.Microseconds(), 0)) //nolint:gosec // since 1970
}

// shift is of, as a time.
func (s *stamps) shift(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	if at := s.of(t); at != micros(t) {
		return time.UnixMicro(int64(at)) //nolint:gosec // since 1970
	}
	return t
}

// ahead is how far stamps are ahead of the machine's clock, and the machine's time.
func (s *stamps) ahead() (time.Duration, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.advance()
	return time.Duration(s.lead) * time.Microsecond, now
}

// present gives an entry that is read the times of the machine's clock as it is now.
// Arrival gets its distance from now as time that has passed, so that an age is right
// however the clock steps until it is computed.
func (s *stamps) present(e *storage.QueueEntry) {
	lead, now := s.ahead()
	at := e.Arrival.Add(e.Ahead - lead)
	if age := now.Sub(at); age.Abs() < maxAge {
		at = now.Add(-age)
	}
	e.Arrival, e.Ahead = at, lead
}

// maxAge is above all ages that a clock can make of a message.
const maxAge = 200 * 365 * 24 * time.Hour

// beginStamps sets the clock of the queue after everything that the processes before
// have given: stamps, and ids, which have the time in them.
func (s *Store) beginStamps(stamp, id uint64) {
	if at := id >> idTimeShift * 1000; at > micros(s.opts.Now())+idsApart {
		stamp = max(stamp, at)
	}
	s.stamps.begin(stamp, s.ages())
	s.logStep()
}

// logStep logs that the machine's clock and the queue's clock have come
// apart, or together. It is called at the start, and then by one goroutine.
func (s *Store) logStep() {
	lead, now := s.stamps.ahead()
	if (lead - s.leadTold).Abs() < stampStep*time.Microsecond {
		return
	}
	s.leadTold = lead
	attrs := []any{"machine", now.UTC().Format(time.RFC3339), "queue", now.Add(lead).UTC().Format(time.RFC3339)}
	if lead == 0 {
		s.opts.Log.Info("the machine's clock is where the mail queue has it again", attrs...)
		return
	}
	s.opts.Log.Warn("the machine's clock has stepped: look whether it is right; queued mail waits as long as it was meant to, and is no older than the time that has passed", attrs...)
}
