package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"postrider/storage"
)

func readBack(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(100, "one")
	id, err := Deliver(s, body, a)
	must(t, err)
	got := Contents(t, s, a)
	same(t, got[id], body)
	v, err := s.View(a)
	must(t, err)
	defer v.Close()
	if !v.Next() {
		t.Fatalf("View is empty: %v", v.Err())
	}
	m, err := v.Open()
	must(t, err)
	e := m.Entry()
	if !e.Arrival.Equal(arrival) || e.Wire != int64(len(body)) || e.Size != e.Wire {
		t.Errorf("Entry: %+v", e)
	}
	b, err := ReadAll(m)
	must(t, err)
	same(t, b, body)
	if v.Next() || v.Err() != nil {
		t.Errorf("View goes on, or fails: %v", v.Err())
	}
}

func traces(t *testing.T, s storage.Store) {
	var to []storage.AccountID
	for i := range 5 {
		to = append(to, Account(t, s, fmt.Sprintf("user%d", i)))
	}
	body := Body(90_000, "shared")
	id, err := Deliver(s, body, to...)
	must(t, err)
	for i, a := range to { // Contents compares the traces
		same(t, Contents(t, s, a)[id], body)
		l, err := s.LockMaildrop(a)
		must(t, err)
		must(t, l.Expunge([]storage.MessageID{id}))
		l.Release()
		if sum := Clean(t, s); sum.Messages != int64(4-i) {
			t.Errorf("%d messages are left", sum.Messages)
		}
	}
}

func sizes(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	const chunk = storage.MaxPiece
	bodies := make(map[storage.MessageID][]byte)
	for _, n := range []int{2, 599, 4095, 4096, 4097, 16384, 16385, chunk - 1, chunk, chunk + 1, 2 * chunk, 3*chunk + 7, 12*chunk + 5} {
		body := Body(n, "size")[:n]
		id, err := Deliver(s, body, a)
		must(t, err)
		bodies[id] = body
	}
	for id, body := range Contents(t, s, a) {
		same(t, body, bodies[id])
		delete(bodies, id)
	}
	if len(bodies) > 0 {
		t.Errorf("%d messages are lost", len(bodies))
	}
}

func openDraft(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	const chunk = storage.MaxPiece
	for _, n := range []int{1, 4097, chunk, chunk + 1, 5*chunk + 3} {
		octets := bytes.Repeat([]byte("any\x00octets\n"), n/11+1)[:n] // no wire form
		d := Draft(s, octets)
		for range 2 {
			m, err := s.OpenDraft(d)
			must(t, err)
			got, err := ReadAll(m)
			must(t, err)
			same(t, got, octets)
		}
		d.Discard()
		if _, err := s.OpenDraft(d); err == nil {
			t.Error("a discarded draft was opened")
		}
	}
	if n := len(Contents(t, s, a)); n != 0 {
		t.Errorf("%d messages were delivered", n)
	}
	Clean(t, s)
}

func idsRise(t *testing.T, s storage.Store) {
	var last storage.MessageID
	for range 100_000 {
		d := s.NewDraft(0)
		if d.ID() <= last {
			t.Fatalf("id %s after %s", d.ID(), last)
		}
		last = d.ID()
		d.Discard()
	}
}

func discard(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	for _, n := range []int{0, 10, 70_000, 1 << 20} {
		d := Draft(s, Body(n, "void")[:n])
		d.Discard()
		d.Discard()
	}
	_, err := Deliver(s, Body(10, "after"), a)
	must(t, err)
	if sum := Clean(t, s); sum.Bodies != 1 {
		t.Errorf("%d bodies are there", sum.Bodies)
	}
}

func missingAccount(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	must(t, s.RemoveAccount(b))
	for _, n := range []int{10, 300_000} {
		_, err := Deliver(s, Body(n, "x"), a, b)
		want(t, err, storage.ErrNotFound)
	}
	_, err := Deliver(s, Body(10, "x"), a, a)
	want(t, err, storage.ErrInvalid)
	_, err = Deliver(s, Body(10, "x"))
	want(t, err, storage.ErrInvalid)
	if got := Contents(t, s, a); len(got) != 0 {
		t.Errorf("%d messages were stored", len(got))
	}
}

func quota(t *testing.T, s storage.Store) {
	plain := Account(t, s, "plain")
	a, err := s.AddAccount(storage.NewAccount{Name: "small", Domain: Domain, Quota: 10_000})
	must(t, err)
	body := Body(3000, "quota")
	var last storage.MessageID
	for range 3 {
		last, err = Deliver(s, body, plain, a)
		must(t, err)
	}
	_, err = Deliver(s, body, plain, a)
	want(t, err, storage.ErrOverQuota)
	if n := len(Contents(t, s, plain)); n != 3 {
		t.Errorf("the other recipient has %d messages", n)
	}
	l, err := s.LockMaildrop(a)
	must(t, err)
	must(t, l.Expunge([]storage.MessageID{last}))
	l.Release()
	_, err = Deliver(s, body, a)
	must(t, err)
}

func notify(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(1<<20, "long")
	d := s.NewDraft(int64(len(body)))
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 50_000)
		d.Append(rest[:n])
		rest = rest[n:]
		called := make(chan struct{}, 2)
		d.Notify(storage.MaxPiece, func() { called <- struct{}{} })
		<-called
		if b := d.Backlog(); b > storage.MaxPiece {
			t.Errorf("a backlog of %d after Notify", b)
		}
	}
	id, err := DeliverDraft(s, d, int64(len(body)), a)
	must(t, err)
	same(t, Contents(t, s, a)[id], body)
}

func await(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(4<<20, "long")
	d := s.NewDraft(int64(len(body)))
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 50_000)
		d.Append(rest[:n])
		rest = rest[n:]
		must(t, storage.Await(t.Context(), d, 2*storage.MaxPiece))
		if b := d.Backlog(); b > 2*storage.MaxPiece {
			t.Fatalf("a backlog of %d after Await", b)
		}
	}
	id, err := DeliverDraft(s, d, int64(len(body)), a)
	must(t, err)
	same(t, Contents(t, s, a)[id], body)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	d = s.NewDraft(0)
	for range 64 {
		d.Append(body[:storage.MaxPiece])
	}
	if err := storage.Await(over, d, 0); err != nil { // else the writer was faster
		want(t, err, context.Canceled)
	}
	d.Discard()
	_, err = Deliver(s, Body(10, "after"), a) // a Notify that is open does no harm
	must(t, err)
}

func put(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(70_000, "put")
	to := func(a storage.AccountID) *storage.Delivery {
		return &storage.Delivery{Draft: Draft(s, body), Arrival: arrival, Size: int64(len(body)),
			Recipients: []storage.Recipient{{Account: a, Trace: Trace(a)}}}
	}
	r, err := storage.Put(t.Context(), s, to(a))
	must(t, err)
	same(t, Contents(t, s, a)[r.ID()], body)

	r, err = storage.Put(t.Context(), s, to(a+1000))
	want(t, err, storage.ErrNotFound)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	none, ended := storage.Put(over, s, to(a))
	want(t, ended, context.Canceled)
	if r.ID() != 0 || none.ID() != 0 {
		t.Errorf("receipts %s and %s of messages that are not stored", r.ID(), none.ID())
	}
	if n := len(Contents(t, s, a)); n != 1 {
		t.Errorf("%d messages are in the maildrop", n)
	}
}
