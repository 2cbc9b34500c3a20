package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"postrider/storage"
)

func filters(t *testing.T, s storage.Store) {
	past := time.Now().Add(-time.Second)
	x := enqueued(t, s, "x.test", "1")
	null := Waiting("x.test", "2")
	null.Envelope.ReversePath = ""
	id, err := Enqueue(s, Body(50, "x"), nil, null, Waiting("y.test", "3"))
	must(t, err)
	es := All(t, s, storage.QueueFilter{Message: id})
	if len(es) != 2 {
		t.Fatalf("%d entries", len(es))
	}
	n, y := es[0], es[1]
	st := Later(y, time.Now().Add(time.Hour), "4.4.1")
	st.Warned = true
	must(t, s.Settle([]storage.Settlement{st, Later(x, time.Now().Add(time.Hour), "4.40.1")}))
	_, err = s.MoveQueued([]storage.EntryID{x.ID}, storage.Hold)
	must(t, err)
	yes, no, sender, nobody := true, false, "SENDER@EXAMPLE.ORG", ""
	for _, c := range []struct {
		what   string
		filter storage.QueueFilter
		want   []*storage.QueueEntry
	}{
		{"all", storage.QueueFilter{}, []*storage.QueueEntry{x, n, y}},
		{"domain", storage.QueueFilter{Domain: "x.test"}, []*storage.QueueEntry{n, x}},
		{"no such domain", storage.QueueFilter{Domain: "test"}, nil},
		{"status", storage.QueueFilter{Status: "4.4.1"}, []*storage.QueueEntry{y}},
		{"status begins", storage.QueueFilter{Status: "4.4"}, []*storage.QueueEntry{y}},
		{"status class", storage.QueueFilter{Status: "4"}, []*storage.QueueEntry{y, x}},
		{"sender", storage.QueueFilter{ReversePath: &sender}, []*storage.QueueEntry{x, y}},
		{"null sender", storage.QueueFilter{ReversePath: &nobody}, []*storage.QueueEntry{n}},
		{"message and domain", storage.QueueFilter{Message: id, Domain: "y.test"}, []*storage.QueueEntry{y}},
		{"held", storage.QueueFilter{Held: &yes}, []*storage.QueueEntry{x}},
		{"not held", storage.QueueFilter{Held: &no, ReversePath: &sender}, []*storage.QueueEntry{y}},
		{"not warned", storage.QueueFilter{Unwarned: true}, []*storage.QueueEntry{x, n}},
		{"before long ago", storage.QueueFilter{ArrivedBefore: past}, nil},
		{"after long ago", storage.QueueFilter{ArrivedAfter: past}, []*storage.QueueEntry{x, n, y}},
		{"before and domain", storage.QueueFilter{ArrivedBefore: past, Domain: "x.test"}, nil},
	} {
		wantIDs(t, c.what, All(t, s, c.filter), c.want...)
	}
	seen := 0
	must(t, s.Queued(storage.QueueFilter{}, func(*storage.QueueEntry) bool { seen++; return false }))
	if seen != 1 {
		t.Errorf("f was called %d times after it said no", seen)
	}
}

// longListing lists more than one run of rows, and changes the queue meanwhile.
func longListing(t *testing.T, s storage.Store) {
	const n = 700
	done := make(chan error, n)
	for i := range n {
		body := Body(10, "x")
		s.Deliver(&storage.Delivery{
			Draft: Draft(s, body), Size: int64(len(body)), Relayed: []*storage.QueueEntry{Waiting(fmt.Sprintf("d%d.test", i%3), "x")},
			Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
		})
	}
	for range n {
		must(t, <-done)
	}
	var last storage.EntryID
	listed := 0
	must(t, s.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool {
		if e.ID.Message <= last.Message {
			t.Errorf("entry %s comes after %s", e.ID, last)
		}
		last = e.ID
		listed++
		if listed%2 == 0 {
			must(t, s.Settle([]storage.Settlement{Done(e)}))
		}
		return true
	}))
	if listed != n {
		t.Errorf("%d entries were listed", listed)
	}
	total(t, s, n/2)
	moved, err := s.MoveQueued(idsOf(All(t, s, storage.QueueFilter{})), storage.DropQueued)
	if moved != n/2 || err != nil {
		t.Errorf("%d entries were dropped, %v", moved, err)
	}
	total(t, s, 0)
}

func history(t testing.TB, s storage.Store, id storage.MessageID) (rs []storage.Record) {
	t.Helper()
	must(t, s.History(id, func(r storage.Record) bool { rs = append(rs, r); return true }))
	return rs
}

func records(t *testing.T, s storage.Store) {
	e := enqueued(t, s, "a.test", "x")
	other := enqueued(t, s, "a.test", "y")
	at := time.Now().Truncate(time.Microsecond)
	const n = 300
	for i := range n {
		st := Later(e, time.Time{}, "4.0.0")
		st.Record = storage.Record{At: at.Add(time.Duration(i) * time.Second), Text: fmt.Sprint("attempt ", i)}
		must(t, s.Settle([]storage.Settlement{st}))
		var err error
		e, err = s.QueuedEntry(e.ID)
		must(t, err)
	}
	last := Done(e)
	last.Record = storage.Record{At: at.Add(n * time.Second), Text: string(make([]byte, 20_000))}
	must(t, s.Settle([]storage.Settlement{last}))
	rs := history(t, s, e.ID.Message)
	if len(rs) != n+1 || len(rs[n].Text) != 16<<10 {
		t.Fatalf("%d records", len(rs))
	}
	for i, r := range rs[:n] {
		if r.Text != fmt.Sprint("attempt ", i) || !r.At.Equal(at.Add(time.Duration(i)*time.Second)) {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	must(t, s.ForgetHistory(time.Now().Add(-time.Hour)))
	if rs := history(t, s, e.ID.Message); len(rs) != n+1 {
		t.Errorf("%d records after older ones were forgotten", len(rs))
	}
	must(t, s.ForgetHistory(time.Now().Add(time.Hour)))
	must(t, s.ForgetHistory(time.Now().Add(-time.Hour)))
	if rs := history(t, s, e.ID.Message); len(rs) != 0 {
		t.Errorf("%d records were not forgotten", len(rs))
	}
	wantIDs(t, "the queue without its history", due(t, s, "a.test"), other)
}

func refusals(t *testing.T, s storage.Store) {
	f := func(e *storage.QueueEntry) {
		t.Helper()
		_, err := Enqueue(s, Body(10, "x"), nil, e)
		want(t, err, storage.ErrInvalid)
	}
	f(Waiting("a.test"))
	f(Waiting("", "x"))
	f(Waiting("A.test", "x"))
	f(Waiting("a\x00.test", "x"))
	_, err := Enqueue(s, Body(10, "x"), nil)
	want(t, err, storage.ErrInvalid)
	want(t, s.Settle([]storage.Settlement{{}}), storage.ErrInvalid)
	e := enqueued(t, s, "a.test", "x")
	if n, err := s.MoveQueued([]storage.EntryID{e.ID}, 99); n != 0 || !errors.Is(err, storage.ErrInvalid) {
		t.Errorf("a move that there is not: %d, %v", n, err)
	}
	total(t, s, 1)
}
