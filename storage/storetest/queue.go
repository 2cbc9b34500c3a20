package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/storage"
)

// Waiting is an entry for the queue with recipients at domain.
func Waiting(domain string, locals ...string) *storage.QueueEntry {
	e := &storage.QueueEntry{Domain: domain, Envelope: storage.Envelope{
		ReversePath: "Sender@example.org", EnvID: "e+3D1", Ret: smtp.RetHdrs, Body: smtp.Body8BitMIME, SMTPUTF8: true,
		Origin: "client unknown[192.0.2.1] helo=<x> by ESMTP",
	}}
	for _, l := range locals {
		e.Recipients = append(e.Recipients, storage.QueuedRecipient{
			ForwardPath: l + "@" + domain, ORcpt: "rfc822;" + l, Notify: smtp.NotifyFailure | smtp.NotifyDelay,
		})
	}
	return e
}

// Enqueue delivers body to accounts and into the queue and waits for the outcome.
func Enqueue(s storage.Store, body []byte, to []storage.AccountID, relayed ...*storage.QueueEntry) (storage.MessageID, error) {
	return Notify(s, body, to, relayed, nil)
}

// Notify is Enqueue with settlements in the same step.
func Notify(s storage.Store, body []byte, to []storage.AccountID, relayed []*storage.QueueEntry, ss []storage.Settlement) (storage.MessageID, error) {
	dl := &storage.Delivery{
		Draft: Draft(s, body), Arrival: time.Now(), Size: int64(len(body)),
		Relayed: relayed, Settle: ss,
	}
	for _, a := range to {
		dl.Recipients = append(dl.Recipients, storage.Recipient{Account: a, Trace: Trace(a)})
	}
	var id storage.MessageID
	done := make(chan error, 1)
	dl.Done = func(_ *storage.Delivery, r storage.Receipt, err error) {
		id = r.ID()
		done <- err
	}
	s.Deliver(dl)
	return id, <-done
}

// Done settles an entry of which nothing is left to do.
func Done(e *storage.QueueEntry) storage.Settlement { return storage.Settlement{Entry: e} }

// Later settles an entry that is to be tried again at due.
func Later(e *storage.QueueEntry, due time.Time, status string) storage.Settlement {
	return storage.Settlement{
		Entry: e, Keep: e.Recipients, Due: due, Warned: e.Warned, Attempts: e.Attempts + 1,
		LastAttempt: time.Now(), Status: status, Reason: "no answer", Peer: "mx.test[192.0.2.2]:25",
	}
}

// All is every entry that a filter lets through.
func All(t testing.TB, s storage.Store, f storage.QueueFilter) (all []*storage.QueueEntry) {
	t.Helper()
	must(t, s.Queued(f, func(e *storage.QueueEntry) bool { all = append(all, e); return true }))
	return all
}

func due(t testing.TB, s storage.Store, domain string) []*storage.QueueEntry {
	t.Helper()
	es, err := s.ReadDue(domain, storage.Cursor{}, 1000)
	must(t, err)
	return es
}

func enqueued(t testing.TB, s storage.Store, domain string, locals ...string) *storage.QueueEntry {
	t.Helper()
	id, err := Enqueue(s, Body(300, domain), nil, Waiting(domain, locals...))
	must(t, err)
	e, err := s.QueuedEntry(storage.EntryID{Message: id})
	must(t, err)
	return e
}

func idsOf(es []*storage.QueueEntry) (ids []storage.EntryID) {
	for _, e := range es {
		ids = append(ids, e.ID)
	}
	return ids
}

func wantIDs(t testing.TB, what string, got []*storage.QueueEntry, want ...*storage.QueueEntry) {
	t.Helper()
	if !slices.Equal(idsOf(got), idsOf(want)) {
		t.Errorf("%s: entries %v, want %v", what, idsOf(got), idsOf(want))
	}
}

func total(t testing.TB, s storage.Store, entries int64) {
	t.Helper()
	if n, octets := s.QueueTotal(); n != entries || n == 0 && octets != 0 {
		t.Errorf("QueueTotal is %d entries of %d octets, want %d", n, octets, entries)
	}
	if sum := Clean(t, s); sum.Queued != entries {
		t.Errorf("Check has met %d entries, want %d", sum.Queued, entries)
	}
}

func entriesComeBack(t *testing.T, s storage.Store) {
	body := Body(150_000, "queued")
	put := Waiting("a.test", "x", "y")
	put.Envelope.Front = "X-Front: known at the end\r\n"
	put.Envelope.Stranger = true
	id, err := Enqueue(s, body, nil, put, Waiting("b.test", "z"))
	must(t, err)
	e := due(t, s, "a.test")[0]
	if e.ID != (storage.EntryID{Message: id}) || e.Domain != "a.test" || e.Envelope != put.Envelope ||
		!slices.Equal(e.Recipients, put.Recipients) || e.Held || e.Warned || e.Attempts != 0 || e.Status != "" {
		t.Errorf("%+v came back", e)
	}
	if other := due(t, s, "b.test")[0]; other.ID != (storage.EntryID{Message: id, Part: 1}) {
		t.Errorf("the second entry is %s", other.ID)
	}
	at := time.Now().Add(time.Hour)
	keep := []storage.QueuedRecipient{e.Recipients[1]}
	keep[0].Status, keep[0].Reason = "4.2.2", "mailbox full"
	st := Later(e, at, "4.4.1")
	st.Keep, st.Warned = keep, true
	must(t, s.Settle([]storage.Settlement{st}))
	got, err := s.QueuedEntry(e.ID)
	must(t, err)
	if !slices.Equal(got.Recipients, keep) || !got.Warned || got.Attempts != 1 || got.Status != "4.4.1" || got.Reason != st.Reason ||
		got.Peer != st.Peer || got.LastAttempt.UnixMilli() != st.LastAttempt.UnixMilli() || got.Due.UnixMicro() != at.UnixMicro() || got.Envelope != put.Envelope {
		t.Errorf("%+v is left", got)
	}
	for _, e := range []*storage.QueueEntry{e, got} {
		m, err := s.OpenQueued(e)
		must(t, err)
		b, err := ReadAll(m)
		must(t, err)
		same(t, b, append([]byte(put.Envelope.Front), body...))
		if want := int64(len(put.Envelope.Front) + len(body)); e.Size() != want {
			t.Errorf("Size is %d, not %d", e.Size(), want)
		}
	}
}

func dueInOrder(t *testing.T, s storage.Store) {
	var es []*storage.QueueEntry
	for i := range 10 {
		es = append(es, enqueued(t, s, "a.test", fmt.Sprint(i)))
	}
	enqueued(t, s, "a.tes", "x")
	enqueued(t, s, "a.test.b", "x")
	late := Waiting("a.test", "late")
	late.Due = time.Now().Add(time.Hour)
	_, err := Enqueue(s, Body(10, "x"), nil, late)
	must(t, err)
	wantIDs(t, "ReadDue", due(t, s, "a.test"), es...)
	must(t, s.Settle([]storage.Settlement{Later(es[0], time.Time{}, "4.0.0")}))
	wantIDs(t, "after the first was put off", due(t, s, "a.test"), append(es[1:], es[0])...)
	none, err := s.ReadDue("a.test", storage.Cursor{}, 0)
	must(t, err)
	wantIDs(t, "a limit of 0", none)
}

// cursors reads what is due while others queue and put off, from 4 goroutines.
func cursors(t *testing.T, s storage.Store) {
	const goroutines, rounds = 4, 60
	woken := make(chan struct{}, 1)
	s.Watch(func(string, bool) {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				e := Waiting("a.test", fmt.Sprintf("%d-%d", g, i))
				if i%3 == 0 {
					e.Due = time.Now().Add(time.Duration(i) * 100 * time.Microsecond)
				}
				if _, err := Enqueue(s, Body(100, "x"), nil, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := make(map[storage.EntryID]bool)
	var at storage.Cursor
	for len(seen) < goroutines*rounds && !t.Failed() {
		es, err := s.ReadDue("a.test", at, 7)
		must(t, err)
		for _, e := range es {
			if seen[e.ID] {
				t.Errorf("entry %s was met twice", e.ID)
			}
			seen[e.ID] = true
			at = e.Cursor()
		}
	}
	wg.Wait()
	es, err := s.ReadDue("a.test", at, 1000)
	must(t, err)
	wantIDs(t, "after the last cursor", es)
	first := due(t, s, "a.test")[0]
	es, err = s.ReadDue("a.test", first.Before(), 1)
	must(t, err)
	wantIDs(t, "just before the first", es, first)
}

func held(t *testing.T, s storage.Store) {
	e := enqueued(t, s, "a.test", "x")
	if n, err := s.MoveQueued([]storage.EntryID{e.ID, e.ID, {Message: 1}}, storage.Hold); n != 1 || err != nil {
		t.Fatalf("Hold: %d entries, %v", n, err)
	}
	wantIDs(t, "held", due(t, s, "a.test"))
	got, err := s.QueuedEntry(e.ID)
	must(t, err)
	if !got.Held || !got.Due.IsZero() {
		t.Errorf("the entry is %+v", got)
	}
	flushes := make(chan bool, 10)
	s.Watch(func(_ string, flush bool) { flushes <- flush })
	for _, m := range []storage.QueueMove{storage.Release, storage.RequeueNow} {
		if n, err := s.MoveQueued([]storage.EntryID{e.ID}, m); n != 1 || err != nil {
			t.Fatalf("move %d: %d entries, %v", m, n, err)
		}
		if !<-flushes {
			t.Error("a flush that is none")
		}
		wantIDs(t, "released", due(t, s, "a.test"), e)
		_, err := s.MoveQueued([]storage.EntryID{e.ID}, storage.Hold)
		must(t, err)
	}
	n, err := s.MoveQueued([]storage.EntryID{e.ID}, storage.Hold)
	if n != 0 || err != nil {
		t.Errorf("Hold again: %d entries, %v", n, err)
	}
	must(t, s.Settle([]storage.Settlement{Later(e, time.Time{}, "4.0.0")}))
	wantIDs(t, "held, then put off", due(t, s, "a.test"))
}

func settledIsGone(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(200_000, "shared")
	id, err := Enqueue(s, body, []storage.AccountID{a}, Waiting("a.test", "x"), Waiting("b.test", "y"))
	must(t, err)
	total(t, s, 2)
	first, second := due(t, s, "a.test")[0], due(t, s, "b.test")[0]
	must(t, s.Settle([]storage.Settlement{Done(first), Done(first)}))
	must(t, s.Settle([]storage.Settlement{Done(first)}))
	_, err = s.QueuedEntry(first.ID)
	want(t, err, storage.ErrNotFound)
	_, err = s.OpenQueued(first)
	want(t, err, storage.ErrNotFound)
	total(t, s, 1)
	same(t, Contents(t, s, a)[id], body)
	l, err := s.LockMaildrop(a)
	must(t, err)
	must(t, l.Expunge([]storage.MessageID{id}))
	l.Release()
	m, err := s.OpenQueued(second)
	must(t, err)
	b, err := ReadAll(m)
	must(t, err)
	same(t, b, body)
	must(t, s.Settle([]storage.Settlement{Done(second)}))
	total(t, s, 0)
	if sum := Clean(t, s); sum.Bodies != 0 {
		t.Errorf("%d bodies are left", sum.Bodies)
	}
}

func partsAtOnce(t *testing.T, s storage.Store) {
	var relayed []*storage.QueueEntry
	for i := range 20 {
		relayed = append(relayed, Waiting(fmt.Sprintf("d%d.test", i), "x"))
	}
	id, err := Enqueue(s, Body(100, "x"), nil, relayed...)
	must(t, err)
	es := All(t, s, storage.QueueFilter{Message: id})
	if len(es) != 20 {
		t.Fatalf("%d entries", len(es))
	}
	var ss []storage.Settlement
	for _, e := range es[:15] {
		ss = append(ss, Done(e))
	}
	must(t, s.Settle(ss))
	total(t, s, 5)
	n, err := s.MoveQueued(idsOf(es), storage.DropQueued)
	if n != 5 || err != nil {
		t.Errorf("%d entries were dropped, %v", n, err)
	}
	total(t, s, 0)
	if sum := Clean(t, s); sum.Bodies != 0 {
		t.Errorf("%d bodies are left", sum.Bodies)
	}
}

func notificationIsOneStep(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	failed, other := enqueued(t, s, "a.test", "x"), enqueued(t, s, "b.test", "y")
	st := Done(failed)
	st.Record = storage.Record{At: time.Now(), Text: "bounced"}
	body := Body(100_000, "notification")
	id, err := Notify(s, body, []storage.AccountID{a}, []*storage.QueueEntry{Waiting("c.test", "z")}, []storage.Settlement{st})
	must(t, err)
	same(t, Contents(t, s, a)[id], body)
	_, err = s.QueuedEntry(failed.ID)
	want(t, err, storage.ErrNotFound)
	total(t, s, 2)
	_, err = Notify(s, body, []storage.AccountID{a}, []*storage.QueueEntry{Waiting("c.test", "z")}, []storage.Settlement{Done(other), st})
	want(t, err, storage.ErrFenced)
	if len(Contents(t, s, a)) != 1 {
		t.Error("a notification of what was over was stored")
	}
	total(t, s, 2)
	if records := history(t, s, failed.ID.Message); len(records) != 1 {
		t.Errorf("%d records", len(records))
	}
	must(t, s.Settle([]storage.Settlement{Later(other, time.Time{}, "4.0.0")}))
	wantIDs(t, "what the refused step was to settle", due(t, s, "b.test"), other)
}

func movedMeanwhile(t *testing.T, s storage.Store) {
	f := func(what string, m storage.QueueMove, keep []string, left ...string) {
		t.Helper()
		e := enqueued(t, s, "a.test", "x", "y", "z")
		_, err := s.MoveQueued([]storage.EntryID{e.ID}, m)
		must(t, err)
		moved, err := s.QueuedEntry(e.ID)
		if m == storage.DropQueued {
			want(t, err, storage.ErrNotFound)
		} else {
			must(t, err)
		}
		st := Later(e, time.Now().Add(time.Hour), "4.0.0")
		st.Keep = slices.DeleteFunc(slices.Clone(e.Recipients), func(r storage.QueuedRecipient) bool {
			return !slices.Contains(keep, r.ForwardPath)
		})
		must(t, s.Settle([]storage.Settlement{st}))
		got, err := s.QueuedEntry(e.ID)
		if len(left) == 0 {
			want(t, err, storage.ErrNotFound)
			return
		}
		must(t, err)
		var paths []string
		for _, r := range got.Recipients {
			paths = append(paths, r.ForwardPath)
		}
		if !slices.Equal(paths, left) || got.Held != moved.Held || got.Due.After(time.Now()) || got.Attempts != 0 {
			t.Errorf("%s: %+v is left", what, got)
		}
		// An entry that was read before the settlement is fenced, too.
		st = Later(moved, time.Now().Add(time.Hour), "4.0.0")
		must(t, s.Settle([]storage.Settlement{st}))
		got, err = s.QueuedEntry(e.ID)
		must(t, err)
		if len(got.Recipients) != len(left) {
			t.Errorf("%s: finished recipients came back: %+v", what, got)
		}
		must(t, s.Settle([]storage.Settlement{Done(got)}))
	}
	f("hold", storage.Hold, []string{"y@a.test"}, "y@a.test")
	f("hold, all done", storage.Hold, nil)
	f("requeue", storage.RequeueNow, []string{"x@a.test", "z@a.test"}, "x@a.test", "z@a.test")
	f("requeue, all done", storage.RequeueNow, nil)
	f("drop", storage.DropQueued, []string{"x@a.test"})
	total(t, s, 0)
}

func watched(t *testing.T, s storage.Store) {
	told := make(chan string, 100)
	s.Watch(func(domain string, flush bool) { told <- fmt.Sprint(domain, flush) })
	e := enqueued(t, s, "a.test", "x")
	if got := <-told; got != "a.testfalse" {
		t.Errorf("told of %s", got)
	}
	late := Waiting("b.test", "x")
	late.Due = time.Now().Add(time.Hour)
	id, err := Enqueue(s, Body(10, "x"), nil, late)
	must(t, err)
	must(t, s.Settle([]storage.Settlement{Later(e, time.Now().Add(time.Hour), "4.0.0")}))
	_, err = s.MoveQueued([]storage.EntryID{{Message: id}}, storage.RequeueNow)
	must(t, err)
	if got := <-told; got != "b.testtrue" {
		t.Errorf("told of %s: nothing of it was due", got)
	}
	s.Sleep("a.test", storage.Cursor{}, time.Time{})
	must(t, s.Awake(func(domain string) {
		if domain == "a.test" {
			t.Error("a destination that sleeps for an hour is awake")
		}
	}))
}
