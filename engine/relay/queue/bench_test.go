package queue

import (
	"fmt"
	"testing"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// An entry's way through the scheduler: loaded, given to a session, finished; 200
// destinations, of which each has a session that is kept.
func BenchmarkScheduler(b *testing.B) {
	s := New(Config{
		Policy: Policy{Retry: []time.Duration{time.Minute}}, Initial: 1, PerSite: 1, Sessions: 1000,
		MessagesPerSession: 1 << 30, MaxEntries: 1 << 20, Random: func() float64 { return 0 },
		NextHop: func(domain, _ string) router.Hop { return router.Hop{Host: domain} },
	})
	now := start
	var e Effects
	type working struct {
		session *Session
		job     *Job
	}
	var at []working
	next := 0
	carryOut := func() {
		for len(e.Load) > 0 {
			loads := append([]Load(nil), e.Load...)
			e.Load = e.Load[:0]
			for _, l := range loads {
				run := make([]*storage.QueueEntry, l.Limit)
				for i := range run {
					next++
					run[i] = &storage.QueueEntry{ID: storage.EntryID{Message: storage.MessageID(next)}, Domain: l.Domain, Due: now}
				}
				s.Loaded(l, run, nil, now, &e)
			}
		}
		for _, a := range append(e.Start, e.Assign...) {
			at = append(at, working{a.Session, a.Job})
		}
		e.Reset()
	}
	for i := range 200 {
		s.Wake(fmt.Sprintf("d%d.example", i), false, now, &e)
	}
	carryOut()
	b.ReportAllocs()
	for b.Loop() {
		w := at[0]
		at = at[1:]
		s.Finished(w.session, w.job, HostOK, Fault{}, now, &e)
		carryOut()
	}
}

// What one attempt means for an entry.
func BenchmarkJudge(b *testing.B) {
	p := Policy{Retry: []time.Duration{15 * time.Minute}, Jitter: 10, WarnAfter: 4 * time.Hour, Lifetime: 120 * time.Hour}
	e := &storage.QueueEntry{Arrival: start, Recipients: []storage.QueuedRecipient{{ForwardPath: "u@b.example"}}}
	a := &Attempt{At: start.Add(time.Minute), Results: []Result{{Verdict: Temporary, Status: "4.2.1", Reason: "450 later"}}}
	b.ReportAllocs()
	for b.Loop() {
		p.Judge(e, a, 0.5)
	}
}
