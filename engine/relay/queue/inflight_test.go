package queue

import (
	"testing"
	"time"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// An operator makes an entry due while it is being tried. It is not given to a
// second session, and what is left of it is looked at when the first is done.
func TestAnEntryIsTriedOnceAtATime(t *testing.T) {
	now := start
	entry := func(due time.Time) *storage.QueueEntry {
		return &storage.QueueEntry{ID: storage.EntryID{Message: 1}, Domain: "b.example", Due: due}
	}
	begin := func() (*Scheduler, Assignment) {
		s := New(Config{
			Initial: 5, PerSite: 20, Sessions: 50, MessagesPerSession: 100, MaxEntries: 100,
			NextHop: func(domain, _ string) router.Hop { return router.Hop{Host: domain} }, Random: func() float64 { return 0 },
		})
		var e Effects
		s.Wake("b.example", false, now, &e)
		load := e.Load[0]
		e.Reset()
		s.Loaded(load, []*storage.QueueEntry{entry(now)}, nil, now, &e)
		if len(e.Start) != 1 {
			t.Fatalf("%+v", e)
		}
		job := e.Start[0]
		e.Reset()
		s.Wake("b.example", true, now, &e)
		if len(e.Load) != 1 || e.Load[0].After != entry(now).Cursor() {
			t.Fatalf("%+v", e)
		}
		return s, job
	}
	moved := entry(now.Add(time.Second))
	load := Load{Domain: "b.example", After: entry(now).Cursor(), Limit: 31}
	again := func(e *Effects) {
		t.Helper()
		if len(e.Start)+len(e.Assign)+len(e.Sleep) > 0 || len(e.Load) != 1 || e.Load[0].After != moved.Before() {
			t.Errorf("an entry that was moved while it was tried is not read again: %+v", e)
		}
	}

	// It is read while the job is out.
	s, job := begin()
	var e Effects
	s.Loaded(load, []*storage.QueueEntry{moved}, nil, now, &e)
	if len(e.Start)+len(e.Assign)+len(e.Sleep)+len(e.Load) > 0 {
		t.Errorf("an entry is tried twice at once: %+v", e)
	}
	e.Reset()
	s.Finished(job.Session, job.Job, HostOK, Fault{}, now, &e)
	again(&e)
	load2 := e.Load[0]
	e.Reset()
	s.Loaded(load2, nil, nil, now, &e)
	if len(e.Sleep) != 1 || s.Jobs() != 0 {
		t.Errorf("nothing is left of it: %+v", e)
	}

	// It is read, then the job is done with, then what was read arrives.
	s, job = begin()
	e.Reset()
	s.Finished(job.Session, job.Job, HostOK, Fault{}, now, &e)
	e.Reset()
	s.Loaded(load, []*storage.QueueEntry{moved}, nil, now, &e)
	again(&e)
	load2 = e.Load[0]
	e.Reset()
	s.Loaded(load2, []*storage.QueueEntry{moved}, nil, now, &e) // it is still there
	if len(e.Assign) != 1 || e.Assign[0].Job.Entry != moved {
		t.Errorf("it is not tried again: %+v", e)
	}
}
