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

// An entry that is settled without an attempt gets no job meanwhile, and an entry with a job is
// not settled without it.
func TestClaim(t *testing.T) {
	now := start
	id := storage.EntryID{Message: 2}
	entry := func(n storage.MessageID) *storage.QueueEntry {
		return &storage.QueueEntry{ID: storage.EntryID{Message: n}, Domain: "b.example", Due: now}
	}
	begin := func() (*Scheduler, *Effects) {
		return New(Config{
			Initial: 5, PerSite: 20, Sessions: 50, MessagesPerSession: 100, MaxEntries: 100,
			NextHop: func(domain, _ string) router.Hop { return router.Hop{Host: domain} }, Random: func() float64 { return 0 },
		}), new(Effects)
	}
	all := []*storage.QueueEntry{entry(1), entry(2), entry(3)}

	// It is claimed while the destination sleeps, and read while it is claimed.
	s, e := begin()
	if !s.Claim("b.example", id) {
		t.Fatal("an entry that sleeps can't be claimed")
	}
	s.Wake("b.example", false, now, e)
	load := e.Load[0]
	e.Reset()
	s.Loaded(load, all, nil, now, e)
	if len(e.Start) != 1 || e.Start[0].Job.Entry.ID.Message != 1 || len(e.Load) != 0 {
		t.Fatalf("%+v", e)
	}
	s.Unclaim("b.example")
	first := e.Start[0]
	e.Reset()
	s.Finished(first.Session, first.Job, HostDone, Fault{}, now, e)
	if want := (Sleep{"b.example", entry(1).Cursor(), now.Add(Overload)}); len(e.Sleep) != 1 || e.Sleep[0] != want {
		t.Fatalf("%+v, want %+v", e, want)
	}
	e.Reset()
	s.Wake("b.example", false, now, e)
	load = e.Load[0]
	e.Reset()
	s.Loaded(load, all[1:], nil, now, e)
	if len(e.Start) != 2 || s.Claim("b.example", id) || !s.Claim("b.example", storage.EntryID{Message: 9}) {
		t.Fatalf("%+v", e)
	}

	// It is read while it is claimed, and arrives after that.
	s, e = begin()
	s.Claim("b.example", id)
	s.Wake("b.example", false, now, e)
	load = e.Load[0]
	s.Unclaim("b.example")
	if s.Claim("b.example", id) {
		t.Fatal("an entry that may have been read was claimed")
	}
	e.Reset()
	s.Loaded(load, all, nil, now, e)
	for _, a := range e.Start {
		if a.Job.Entry.ID == id {
			t.Errorf("the job has the entry as it was before")
		}
	}
	if len(e.Start) != 2 || len(e.Load) != 1 || e.Load[0].After != entry(2).Before() {
		t.Errorf("what was read is not read again: %+v", e)
	}
}
