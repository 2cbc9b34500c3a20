package queue

import (
	"cmp"
	"time"

	"postrider/engine/edge/limit"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Scheduler decides which entry is tried when. One goroutine at a time calls it. now never
// goes back.
type Scheduler struct {
	cfg      Config
	domains  map[string]*domain
	sites    map[router.Hop]*site
	waiting  lines   // want a session and have none
	slots    slots   // which sites have which sessions
	slowed   []*site // have to wait for their rate limit
	jobs     int
	sessions int
	idle     int             // sessions without a job
	claimed  storage.EntryID // see Claim; zero: none is
}

// domain is a destination that is awake.
type domain struct {
	name     string
	cursor   storage.Cursor // after the last entry that was loaded
	jobs     int
	loading  bool
	more     bool      // there may be more after the cursor
	retry    time.Time // not to be looked at before: its site is dead, or reading failed
	again    bool      // woken while it was loading
	stale    bool      // the cursor went back while it was loading
	inFlight           // what was read while a job of it was in memory
}

// Overload is how long a destination sleeps when there is no room in memory for it.
const Overload = 10 * time.Second

// maxSites bounds the sites that are remembered only because they are dead.
const maxSites = 100_000

// New returns a Scheduler that knows nothing yet.
func New(cfg Config) *Scheduler {
	return &Scheduler{cfg: cfg, domains: make(map[string]*domain), sites: make(map[router.Hop]*site), slots: newSlots(&cfg)}
}

// Wake reports that mail for a destination may be due. flush: an operator wants
// it tried now, whatever is known of its site.
func (s *Scheduler) Wake(name string, flush bool, now time.Time, e *Effects) {
	st := s.sites[s.cfg.NextHop(name, "")]
	if flush && st != nil {
		st.deadTill = time.Time{} // it is probed
	}
	if d := s.domains[name]; d != nil {
		d.more, d.again = true, d.loading
		if flush {
			d.retry = time.Time{}
		}
		s.refill(d, e)
		return
	}
	switch {
	case st != nil && st.dead(now) && !s.cfg.BySender:
		st.remember(name)
		e.Sleep = append(e.Sleep, Sleep{Domain: name, NotBefore: st.deadTill})
	case s.jobs >= s.cfg.MaxEntries || len(s.domains) >= s.cfg.MaxEntries:
		e.Sleep = append(e.Sleep, Sleep{Domain: name, NotBefore: now.Add(Overload)})
	default:
		d := &domain{name: name, more: true}
		s.domains[name] = d
		s.refill(d, e)
	}
}

// Revive has all dead sites probed now, and wakes what sleeps because of them.
func (s *Scheduler) Revive(now time.Time, e *Effects) {
	for _, st := range s.sites {
		st.deadTill = time.Time{}
		asleep := st.asleep
		st.asleep = nil
		for _, name := range asleep {
			s.Wake(name, true, now, e)
		}
	}
}

// limit is how many jobs of a destination are in memory at most.
func (s *Scheduler) limit(d *domain) int {
	most := 32
	if st := s.sites[s.cfg.NextHop(d.name, "")]; st != nil {
		if st.probing() {
			return 1
		}
		most = max(most, 4*st.room())
	}
	return min(most, max(s.cfg.MaxEntries-s.jobs, 1))
}

// refill loads more entries of a destination when it has few jobs left, and drops a
// destination that has none.
func (s *Scheduler) refill(d *domain, e *Effects) {
	if d.loading {
		return
	}
	d.rewind()
	limit := s.limit(d)
	if d.more && d.retry.IsZero() && (d.jobs == 0 || d.jobs <= limit/2) {
		d.loading = true
		e.Load = append(e.Load, Load{d.name, d.cursor, max(limit-d.jobs, 1)})
		return
	}
	if d.jobs > 0 {
		return
	}
	delete(s.domains, d.name)
	e.Sleep = append(e.Sleep, Sleep{d.name, d.cursor, d.retry})
}

// back puts the cursor before an entry that leaves memory as it came. All jobs of
// its destination that sessions still have come before it.
func (d *domain) back(e *storage.QueueEntry) {
	at := e.Cursor()
	if at.Due.Before(d.cursor.Due) || at.Due.Equal(d.cursor.Due) && !d.cursor.ID.Before(at.ID) {
		d.cursor = e.Before()
		d.stale = d.loading // what is being read lies after it
	}
}

// Loaded brings what a Load asked for. An error puts the destination to sleep for
// a while.
func (s *Scheduler) Loaded(l Load, entries []*storage.QueueEntry, err error, now time.Time, e *Effects) {
	d := s.domains[l.Domain]
	if d == nil || !d.loading {
		return
	}
	d.loading = false
	d.more = len(entries) == l.Limit || d.again || d.stale
	if d.stale {
		entries = nil // they are read again, after what was put back
	}
	d.again, d.stale = false, false
	if err != nil {
		d.retry = now.Add(Overload)
	}
	var st *site
	for _, entry := range entries {
		if entry.ID == s.claimed {
			d.retry, d.more = now.Add(Overload), true // the cursor stays before it
			break
		}
		d.cursor = entry.Cursor()
		if d.isInFlight(entry) {
			continue
		}
		j := &Job{Entry: entry, Hop: s.cfg.NextHop(d.name, entry.Envelope.ReversePath), domain: d}
		d.hold(j)
		d.jobs++
		s.jobs++
		if st != nil && st.hop != j.Hop {
			s.offer(st, now, e)
		}
		st = s.site(j.Hop)
		st.jobs = append(st.jobs, j)
	}
	clear(d.gone)
	if st != nil {
		s.offer(st, now, e)
	}
	if s.domains[d.name] == d {
		s.refill(d, e)
	}
}

// offer looks after a site that has got jobs.
func (s *Scheduler) offer(st *site, now time.Time, e *Effects) {
	if st.dead(now) {
		s.clear(st, now, e)
	}
	s.pump(st, now, e)
}

// site returns the site of a hop.
func (s *Scheduler) site(hop router.Hop) *site {
	st := s.sites[hop]
	if st == nil {
		st = &site{hop: hop, window: float64(s.cfg.Initial)}
		s.bound(st)
		s.sites[hop] = st
	}
	return st
}

// bound sets the limits of a site.
func (s *Scheduler) bound(st *site) {
	l := s.cfg.Limits[st.hop.String()]
	st.most = float64(cmp.Or(l.Sessions, s.cfg.PerSite))
	st.window = min(st.window, st.most)
	st.rate = limit.Rate{Count: cmp.Or(l.Rate, s.cfg.Rate), Per: time.Second}
}

// pump gives the jobs of a site to its sessions, as far as it may have them.
func (s *Scheduler) pump(st *site, now time.Time, e *Effects) {
	for len(st.jobs) > 0 && !st.dead(now) {
		if len(st.idle) == 0 && st.active >= st.room() {
			return
		}
		if !st.bucket.Take(st.rate, now) {
			s.slow(st)
			return
		}
		if session := s.wakeIdle(st); session != nil {
			e.Assign = append(e.Assign, Assignment{session, s.next(st, session, now)})
			continue
		}
		if !s.hasSlot(st, now) {
			st.bucket.Give(st.rate, 1)
			s.await(st, e)
			return
		}
		s.start(st, now, e)
	}
}

// next takes the site's next job for a session.
func (st *site) next(session *Session) *Job {
	j := st.jobs[0]
	st.jobs[0] = nil
	st.jobs = st.jobs[1:]
	session.sent++
	return j
}

// slow has Tick look at the site again.
func (s *Scheduler) slow(st *site) {
	if !st.slowed {
		st.slowed = true
		s.slowed = append(s.slowed, st)
	}
}

// wakeIdle takes an idle session of a site for another use; nil: it has none.
func (s *Scheduler) wakeIdle(st *site) *Session {
	n := len(st.idle)
	if n == 0 {
		return nil
	}
	session := st.idle[n-1]
	st.idle = st.idle[:n-1]
	session.idle = false
	s.idle--
	return session
}

// Finished reports that a session has done its job: its outcome is settled in
// the store. The job is not to be used any more. What the session does next is in
// Effects, as an Assign for it; without one it is idle, if the verdict was HostOK.
func (s *Scheduler) Finished(session *Session, j *Job, v HostVerdict, f Fault, now time.Time, e *Effects) {
	st := session.site
	s.slots.finish(session, v, now)
	s.judge(st, v, f, now, e)
	s.drop(j, e)
	if v == HostOK && s.mayGoOn(st, session) {
		session.idle = true
		st.idle = append(st.idle, session)
		s.idle++
	} else if v == HostOK {
		e.Close = append(e.Close, session)
	} else {
		s.ended(session)
	}
	s.pump(st, now, e)
	if session.idle && (session.strange || s.sessions >= s.cfg.Sessions && !s.waiting.empty()) {
		s.unidle(session) // it is slow, or others have mail
		e.Close = append(e.Close, session)
	}
	s.serveWaiting(now, e)
	s.forget(st, now)
}

// mayGoOn reports whether a session may have another message.
func (s *Scheduler) mayGoOn(st *site, session *Session) bool {
	if session.sent >= s.cfg.MessagesPerSession || st.active > st.room() {
		return false
	}
	return s.waiting.empty() || session.sent < 10 // others want to have a turn
}

// judge takes in what was learned of a host.
func (s *Scheduler) judge(st *site, v HostVerdict, f Fault, now time.Time, e *Effects) {
	switch v {
	case HostOK, HostDone:
		revived := st.probing()
		st.succeeded(float64(s.cfg.Initial))
		if revived {
			asleep := st.asleep
			st.asleep = nil
			for _, name := range asleep {
				s.Wake(name, true, now, e)
			}
		}
	case HostDown:
		if st.failedOnce() && !st.dead(now) {
			s.die(st, f, now, e)
		}
	case HostBusy:
		if !st.dead(now) {
			st.why, st.deadTill = f, now.Add(BusyWait)
			s.clear(st, now, e)
		}
	}
}

// die marks the site as dead until it is to be probed.
func (s *Scheduler) die(st *site, f Fault, now time.Time, e *Effects) {
	st.deaths++
	st.failed, st.window = 0, 1
	st.why = f
	st.deadTill = now.Add(s.cfg.Policy.Wait(st.deaths, s.cfg.Random()))
	s.clear(st, now, e)
	s.prune()
}

// clear takes the jobs of a dead site out of memory. Where the destination alone
// decides, it sleeps until the site is probed, and nothing is written; where the
// sender decides too, each entry is put off, for others of the destination can go.
func (s *Scheduler) clear(st *site, now time.Time, e *Effects) {
	jobs := st.jobs
	st.jobs = nil
	for _, j := range jobs {
		if s.cfg.BySender {
			e.Postpone = append(e.Postpone, Postponed{j, st.deadTill, st.why})
			continue
		}
		d := j.domain
		if d.retry.IsZero() {
			st.remember(d.name)
		}
		d.back(j.Entry)
		d.retry, d.more = st.deadTill, true
		s.drop(j, e)
	}
}

// remember keeps the name of a destination that sleeps because of the site.
func (st *site) remember(name string) {
	if st.probing() && len(st.asleep) < maxAsleep { // a busy site sleeps for seconds only
		st.asleep = append(st.asleep, name)
	}
}

// drop takes a job out of memory, and looks after its destination.
func (s *Scheduler) drop(j *Job, e *Effects) {
	j.domain.release(j)
	j.domain.jobs--
	s.jobs--
	s.refill(j.domain, e)
}

// Postponed reports that the entry of a Postpone is settled.
func (s *Scheduler) Postponed(j *Job, e *Effects) { s.drop(j, e) }

// Ended reports the end of a session that had no job: it was closed, or the peer
// broke it off while it was idle.
func (s *Scheduler) Ended(session *Session, now time.Time, e *Effects) {
	st := session.site
	s.unidle(session)
	s.ended(session)
	s.serveWaiting(now, e) // waiting sites come first
	s.pump(st, now, e)
	s.forget(st, now)
}

// Rest asks whether an idle session may end: false when it was given a job, which
// is on its way to it. True: the session is over, as by Ended.
func (s *Scheduler) Rest(session *Session, now time.Time, e *Effects) bool {
	if !session.idle {
		return false
	}
	s.Ended(session, now, e)
	return true
}

// unidle takes a session out of its site's idle ones.
func (s *Scheduler) unidle(session *Session) {
	st := session.site
	for i, other := range st.idle {
		if other == session {
			st.idle = append(st.idle[:i], st.idle[i+1:]...)
			s.idle--
			break
		}
	}
	session.idle = false
}

func (s *Scheduler) ended(session *Session) {
	s.slots.end(session)
	session.site.active--
	s.sessions--
}

// forget drops a site that has nothing to be remembered for.
func (s *Scheduler) forget(st *site, now time.Time) {
	if st.active > 0 || len(st.jobs) > 0 || st.waiting || st.slowed || st.probing() {
		return
	}
	if !st.bucket.IsFull(now) {
		s.slow(st) // a new one would have its tokens too early
		return
	}
	delete(s.sites, st.hop)
}

// prune drops dead sites when there are too many: they begin again.
func (s *Scheduler) prune() {
	if len(s.sites) <= maxSites {
		return
	}
	for hop, st := range s.sites {
		if st.active == 0 && len(st.jobs) == 0 && !st.waiting && !st.slowed {
			delete(s.sites, hop)
		}
		if len(s.sites) <= maxSites*9/10 {
			return
		}
	}
}

// Tick is to be called about every 100 ms while Idle is false: sites that were
// held by their rate limit go on.
func (s *Scheduler) Tick(now time.Time, e *Effects) {
	slowed := s.slowed
	s.slowed = nil
	for _, st := range slowed {
		st.slowed = false
		s.pump(st, now, e)
		s.forget(st, now)
	}
	s.serveWaiting(now, e)
}

// Idle reports that Tick has nothing to do.
func (s *Scheduler) Idle() bool { return len(s.slowed) == 0 }

// Jobs and Sessions are how many there are.
func (s *Scheduler) Jobs() int { return s.jobs }

// Sessions: see Jobs.
func (s *Scheduler) Sessions() int { return s.sessions }

// Awake is how many destinations are.
func (s *Scheduler) Awake() int { return len(s.domains) }

// Sites calls f for each site that has jobs or sessions, or is dead.
func (s *Scheduler) Sites(now time.Time, f func(SiteStatus)) {
	for _, st := range s.sites {
		status := SiteStatus{Hop: st.hop.String(), Jobs: len(st.jobs), Sessions: st.active, Window: st.room(), Fault: st.why, Waits: s.whyWaits(st)}
		if st.dead(now) {
			status.DeadTill = st.deadTill
		}
		f(status)
	}
}
