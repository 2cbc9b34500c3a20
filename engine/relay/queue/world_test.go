package queue

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// world is everything about a Scheduler in simulated time: a store's queue with its
// durable marks, hosts that behave as hosts do, and crashes of the machine.
type world struct {
	random *rand.Rand
	now    time.Time
	events events
	seq    int
	epoch  int // crashes so far; what an earlier epoch began does not come back

	policy Policy
	config Config
	s      *Scheduler
	ticks  bool

	// The store. entries and marks survive a crash.
	entries map[storage.EntryID]*storage.QueueEntry
	queue   map[string][]*storage.QueueEntry // by destination, in the order of due
	marks   map[string]time.Time
	awake   map[string]bool
	stamp   time.Time
	nextID  storage.MessageID
	loads   int

	host     func(hop router.Hop) *host
	hosts    map[router.Hop]*host
	attempts int
	lost     map[string]int // 250s that never reached us, by message and recipient
	got      map[string]int // deliveries, likewise
	bounced  map[string]int
	warned   map[string]int
	trace    []string // attempts and notices, if wanted
	tracing  bool
}

// host is how a site answers: up or not at a time, and its reply to a message.
type host struct {
	latency  time.Duration
	up       func(now time.Time) bool
	answer   func(w *world, e *storage.QueueEntry, r *storage.QueuedRecipient) Result
	loses    float64 // how often the connection breaks after the dot
	sessions int
	most     int                      // sessions seen at once
	refuses  int                      // over so many sessions it answers 421; 0: never
	busy     func(now time.Time) bool // its address has no place
}

type event struct {
	at  time.Time
	seq int
	f   func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].seq, e[j].seq)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newWorld(seed uint64) *world {
	w := &world{
		random: rand.New(rand.NewPCG(seed, 1)), now: start,
		policy:  Policy{Retry: []time.Duration{15 * time.Minute}, Jitter: 10, WarnAfter: 4 * time.Hour, Lifetime: 5 * 24 * time.Hour},
		entries: make(map[storage.EntryID]*storage.QueueEntry), queue: make(map[string][]*storage.QueueEntry),
		marks: make(map[string]time.Time), hosts: make(map[router.Hop]*host),
		lost: make(map[string]int), got: make(map[string]int), bounced: make(map[string]int), warned: make(map[string]int),
	}
	w.config = Config{
		Initial: 5, PerSite: 20, Sessions: 50, MessagesPerSession: 100, MaxEntries: 2000,
		NextHop: func(domain, _ string) router.Hop { return router.Hop{Host: domain} },
		Random:  w.random.Float64,
	}
	return w
}

// boot starts a scheduler over what the store has.
func (w *world) boot() {
	w.epoch++
	w.config.Policy = w.policy
	w.s = New(w.config)
	w.awake = make(map[string]bool)
	for _, h := range w.hosts {
		h.sessions = 0
	}
	w.after(0, w.wakeDue)
	w.after(5*time.Minute, w.sweep)
}

// after has f called in this epoch.
func (w *world) after(d time.Duration, f func()) {
	epoch := w.epoch
	w.seq++
	heap.Push(&w.events, event{w.now.Add(d), w.seq, func() {
		if w.epoch == epoch {
			f()
		}
	}})
}

// at has f called at a time, whatever happens until then.
func (w *world) at(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.events, event{start.Add(d), w.seq, f})
}

// run plays until the time has come.
func (w *world) run(until time.Duration) {
	end := start.Add(until)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.f()
	}
	w.now = end
}

// wakeDue is Awake, every 4 seconds.
func (w *world) wakeDue() {
	var due []string
	for name, at := range w.marks {
		if !w.awake[name] && !at.After(w.now) {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	for _, name := range due {
		w.awake[name] = true
		w.do(func(e *Effects) { w.s.Wake(name, false, w.now, e) })
	}
	w.after(4*time.Second, w.wakeDue)
}

// sweep looks for entries that no attempt tells the sender of.
func (w *world) sweep() {
	var all []*storage.QueueEntry
	for _, e := range w.entries {
		if w.policy.Overdue(e, w.now, 20*time.Minute) != nil {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *storage.QueueEntry) int { return cmp.Compare(a.ID.Message, b.ID.Message) })
	for _, e := range all {
		w.settle(w.policy.Judge(e, w.policy.Overdue(e, w.now, 20*time.Minute), w.random.Float64()))
	}
	w.after(5*time.Minute, w.sweep)
}

// accept queues a message.
func (w *world) accept(domain, from string, recipients ...string) *storage.QueueEntry {
	w.nextID++
	e := &storage.QueueEntry{
		ID: storage.EntryID{Message: w.nextID}, Domain: domain, Arrival: w.now,
		Envelope: storage.Envelope{ReversePath: from},
	}
	for _, r := range recipients {
		e.Recipients = append(e.Recipients, storage.QueuedRecipient{ForwardPath: r})
	}
	w.put(e, w.tick())
	w.do(func(x *Effects) { w.s.Wake(domain, false, w.now, x) })
	return e
}

// tick is the store's stamp.
func (w *world) tick() time.Time {
	w.stamp = w.stamp.Add(time.Microsecond)
	if w.now.After(w.stamp) {
		w.stamp = w.now
	}
	return w.stamp
}

func (w *world) put(e *storage.QueueEntry, due time.Time) {
	e.Due = due
	w.entries[e.ID] = e
	q := w.queue[e.Domain]
	at, _ := slices.BinarySearchFunc(q, e, inOrder)
	w.queue[e.Domain] = slices.Insert(q, at, e)
	if w.awake[e.Domain] {
		return
	}
	if at, has := w.marks[e.Domain]; !has || due.Before(at) {
		w.marks[e.Domain] = due
	}
	if !due.After(w.stamp) {
		w.awake[e.Domain] = true
		w.after(time.Millisecond, func() {
			w.do(func(x *Effects) { w.s.Wake(e.Domain, false, w.now, x) })
		})
	}
}

func inOrder(a, b *storage.QueueEntry) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID.Message, b.ID.Message))
}

func (w *world) take(e *storage.QueueEntry) {
	delete(w.entries, e.ID)
	q := w.queue[e.Domain]
	if at, found := slices.BinarySearchFunc(q, e, inOrder); found {
		w.queue[e.Domain] = slices.Delete(q, at, at+1)
	}
}

// settle carries out a judgement and notes what it tells the sender.
func (w *world) settle(j Judgement) {
	e := j.Settlement.Entry
	if w.entries[e.ID] != e {
		w.settleMoved(j)
		return
	}
	for _, n := range j.Notices {
		for _, r := range n.Recipients {
			key := keyOf(e, r.ForwardPath)
			switch n.Kind {
			case Failed:
				w.bounced[key]++
				w.note("bounce %s", r.ForwardPath)
			case Delayed:
				w.warned[key]++
				w.note("warn %s", r.ForwardPath)
			}
		}
	}
	w.take(e)
	if keep := j.Settlement.Keep; len(keep) > 0 {
		n := *e
		n.Recipients, n.Warned, n.Attempts = keep, j.Settlement.Warned, j.Settlement.Attempts
		n.Status, n.Reason = j.Settlement.Status, j.Settlement.Reason
		due := w.tick()
		if j.Settlement.Due.After(due) {
			due = j.Settlement.Due
		}
		w.put(&n, due)
	}
}

// settleMoved is what the store does with the settlement of an entry that was settled
// meanwhile, by the sweep: finished recipients go, the rest stays as it is. The sender is told
// of those that are returned. It may be warned of the others a second time, which does not
// count here.
func (w *world) settleMoved(j Judgement) {
	st := j.Settlement
	old := w.entries[st.Entry.ID]
	if old == nil {
		return
	}
	for _, n := range j.Notices {
		for _, r := range n.Recipients {
			if n.Kind == Failed {
				w.bounced[keyOf(old, r.ForwardPath)]++
			}
		}
	}
	has := func(rs []storage.QueuedRecipient, path string) bool {
		return slices.ContainsFunc(rs, func(r storage.QueuedRecipient) bool { return r.ForwardPath == path })
	}
	n := *old
	n.Recipients = slices.DeleteFunc(slices.Clone(old.Recipients), func(r storage.QueuedRecipient) bool {
		return has(st.Entry.Recipients, r.ForwardPath) && !has(st.Keep, r.ForwardPath)
	})
	if len(n.Recipients) == len(old.Recipients) {
		return
	}
	w.take(old)
	if len(n.Recipients) > 0 {
		due := w.tick()
		if old.Due.After(due) {
			due = old.Due.Add(time.Microsecond)
		}
		w.put(&n, due)
	}
}

func keyOf(e *storage.QueueEntry, recipient string) string {
	return fmt.Sprint(e.ID.Message, " ", recipient)
}

func (w *world) note(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, "+"+w.now.Sub(start).Round(time.Second).String()+" "+fmt.Sprintf(format, args...))
	}
}

// do calls the scheduler and carries its effects out, each some time later.
func (w *world) do(f func(e *Effects)) {
	var e Effects
	f(&e)
	for _, l := range e.Load {
		w.loads++
		w.after(time.Millisecond, func() { w.load(l) })
	}
	for _, s := range e.Sleep {
		w.after(time.Millisecond, func() { w.sleep(s) })
	}
	for _, a := range e.Start {
		h := w.hostOf(a.Session.site.hop)
		h.sessions++
		h.most = max(h.most, h.sessions)
		w.after(h.latency, func() { w.attempt(a.Session, a.Job, true) })
	}
	for _, a := range e.Assign {
		w.after(w.hostOf(a.Session.site.hop).latency, func() { w.attempt(a.Session, a.Job, false) })
	}
	for _, s := range e.Close {
		w.after(time.Millisecond, func() { w.over(s) })
	}
	for _, p := range e.Postpone {
		w.after(time.Millisecond, func() {
			w.settle(Judgement{Settlement: Postpone(p.Job.Entry, p.Due, p.Fault.Status, p.Fault.Text)})
			w.do(func(e *Effects) { w.s.Postponed(p.Job, e) })
		})
	}
	if !w.ticks && !w.s.Idle() {
		w.ticks = true
		epoch := w.epoch
		w.after(100*time.Millisecond, func() { w.tickOnce(epoch) })
	}
}

func (w *world) tickOnce(int) {
	w.ticks = false
	w.do(func(e *Effects) { w.s.Tick(w.now, e) })
}

func (w *world) load(l Load) {
	var run []*storage.QueueEntry
	for _, e := range w.queue[l.Domain] {
		behind := e.Due.After(l.After.Due) || e.Due.Equal(l.After.Due) && l.After.ID.Before(e.ID)
		if e.Due.After(w.now) && e.Due.After(w.stamp) || len(run) == l.Limit {
			break
		}
		if behind && !e.Held {
			run = append(run, e)
		}
	}
	w.do(func(e *Effects) { w.s.Loaded(l, run, nil, w.now, e) })
}

func (w *world) sleep(s Sleep) {
	delete(w.awake, s.Domain)
	delete(w.marks, s.Domain)
	for _, e := range w.queue[s.Domain] {
		behind := e.Due.After(s.After.Due) || e.Due.Equal(s.After.Due) && s.After.ID.Before(e.ID)
		if behind && !e.Held {
			at := e.Due
			if s.NotBefore.After(at) {
				at = s.NotBefore
			}
			w.marks[s.Domain] = at
			return
		}
	}
}

func (w *world) over(s *Session) {
	w.hostOf(s.site.hop).sessions--
	w.do(func(e *Effects) { w.s.Ended(s, w.now, e) })
}

func (w *world) hostOf(hop router.Hop) *host {
	h := w.hosts[hop]
	if h == nil {
		h = w.host(hop)
		w.hosts[hop] = h
	}
	return h
}

// attempt is the end of an attempt to deliver.
func (w *world) attempt(s *Session, j *Job, fresh bool) {
	e, h := j.Entry, w.hostOf(s.site.hop)
	w.attempts++
	a := &Attempt{At: w.now}
	verdict, fault := HostOK, Fault{}
	down := func(text string) {
		verdict, fault = HostDown, Fault{"4.4.1", text}
		for range e.Recipients {
			a.Results = append(a.Results, Result{Status: "4.4.1", Reason: text})
		}
	}
	if h.busy != nil && h.busy(w.now) {
		w.settle(Judgement{Settlement: Postpone(e, w.now.Add(BusyWait), "4.4.5", "busy")})
		h.sessions--
		w.do(func(x *Effects) { w.s.Finished(s, j, HostBusy, Fault{"4.4.5", "busy"}, w.now, x) })
		return
	}
	switch {
	case !h.up(w.now):
		down("connection refused")
	case fresh && h.refuses > 0 && h.sessions > h.refuses:
		down("421 too many connections")
	default:
		for i := range e.Recipients {
			a.Results = append(a.Results, h.answer(w, e, &e.Recipients[i]))
		}
		lost := w.random.Float64() < h.loses
		for i, r := range a.Results {
			if r.Verdict == Delivered {
				w.got[keyOf(e, e.Recipients[i].ForwardPath)]++
				if lost {
					w.lost[keyOf(e, e.Recipients[i].ForwardPath)]++
				}
			}
		}
		if lost {
			a.Results = nil
			down("lost connection behind the dot")
		}
	}
	w.note("attempt %s: %s", e.Recipients[0].ForwardPath, a.Results[0].Reason)
	judgement := w.policy.Judge(e, a, w.random.Float64())
	// The 250 is here; until it is on the disk a crash repeats the message.
	w.after(time.Millisecond, func() {
		w.settle(judgement)
		if verdict == HostDown {
			h.sessions--
		}
		w.do(func(e *Effects) { w.s.Finished(s, j, verdict, fault, w.now, e) })
	})
	w.pending(e, a)
}

// pending notes, for a crash in the next millisecond, that the host has what we
// don't know of.
func (w *world) pending(e *storage.QueueEntry, a *Attempt) {
	epoch, at := w.epoch, w.now
	w.seq++
	heap.Push(&w.events, event{at.Add(2 * time.Millisecond), w.seq, func() {
		if w.epoch == epoch {
			return
		}
		for i, r := range a.Results {
			if r.Verdict == Delivered && w.entries[e.ID] != nil {
				w.lost[keyOf(e, e.Recipients[i].ForwardPath)]++
			}
		}
	}})
}

// crash ends the process and starts it again.
func (w *world) crash() {
	w.ticks = false
	w.boot()
}

// always and taken are the simplest host.
func always(time.Time) bool { return true }
func taken(*world, *storage.QueueEntry, *storage.QueuedRecipient) Result {
	return Result{Verdict: Delivered, Status: "2.0.0", Reason: "250 ok"}
}
