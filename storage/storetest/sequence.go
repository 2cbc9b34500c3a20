package storetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"postrider/storage"
)

// sequences compares a Sequence with its slow twin, Open: over all messages, over
// some, where messages are gone, and with little room.
func sequences(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	var ids []storage.MessageID
	for i, n := range []int{10, 700, 4 << 10, 30 << 10, 100, 64 << 10, 200, 150 << 10, 5000, 6000, 65, 9} {
		to := []storage.AccountID{a}
		if i%3 == 0 {
			to = append(to, b)
		}
		id, err := Deliver(s, Body(n, "x"), to...)
		must(t, err)
		ids = append(ids, id)
		_, err = Deliver(s, Body(n, "another's"), b)
		must(t, err)
	}
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	_, err = l.List(5) // what it doesn't list can be read as well
	must(t, err)
	must(t, l.Expunge(ids[4:6]))

	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		q, err := l.Sequence()
		must(t, err)
		buf := make([]byte, 0, rng.IntN(300<<10))
		for _, id := range ids {
			if rng.IntN(4) == 0 {
				continue
			}
			before := bytes.Clone(buf)
			buf = sameAsOpened(t, l, q, buf, id)
			if !bytes.HasPrefix(buf, before) {
				t.Fatal("Append changed what was before")
			}
		}
		_, _, err = q.Append(nil, ids[len(ids)-1]+1000)
		want(t, err, storage.ErrNotFound)
		q.Close()
	}
	l.Release()
	_, err = l.Sequence()
	want(t, err, storage.ErrFenced)
}

// sameAsOpened appends a message by Sequence, and fails unless Open gives the same.
func sameAsOpened(t *testing.T, l storage.Lock, q storage.Sequence, dst []byte, id storage.MessageID) []byte {
	t.Helper()
	room := cap(dst) - len(dst)
	got, e, err := q.Append(dst, id)
	m, opening := l.Open(id)
	if opening != nil {
		if !errors.Is(opening, storage.ErrNotFound) || !errors.Is(err, storage.ErrNotFound) || len(got) != len(dst) {
			t.Fatalf("message %s: Open says %v, Append %v", id, opening, err)
		}
		return got
	}
	want := bytes.Clone(m.Entry().Trace)
	body, reading := ReadAll(m)
	must(t, reading)
	want = append(want, body...)
	switch {
	case len(want) > room:
		if !errors.Is(err, io.ErrShortBuffer) || len(got) != len(dst) {
			t.Fatalf("message %s of %d octets in room for %d: %v", id, len(want), room, err)
		}
	case err != nil || !bytes.Equal(got[len(dst):], want) || cap(got) != cap(dst):
		t.Fatalf("message %s: %d octets of Append are not the %d of Open: %v", id, len(got)-len(dst), len(want), err)
	case e.ID != id || e.Octets() != m.Entry().Octets() || !e.Arrival.Equal(m.Entry().Arrival) || !bytes.Equal(e.Trace, m.Entry().Trace):
		t.Fatalf("message %s: entry %+v, of Open %+v", id, e, m.Entry())
	}
	return got
}
