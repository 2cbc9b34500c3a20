package storetest

import (
	"slices"
	"testing"

	"postrider/storage"
)

func oneSession(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	l, err := s.LockMaildrop(a)
	must(t, err)
	_, err = s.LockMaildrop(a)
	want(t, err, storage.ErrInUse)
	l.Release()
	l.Release()
	l2, err := s.LockMaildrop(a)
	must(t, err)
	l.Release() // the lock was given back: takes nothing from its successor
	_, err = s.LockMaildrop(a)
	want(t, err, storage.ErrInUse)
	l2.Release()
	_, err = s.LockMaildrop(a + 1000)
	want(t, err, storage.ErrNotFound)
}

func fenced(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	id, err := Deliver(s, Body(10, "x"), a)
	must(t, err)
	l, err := s.LockMaildrop(a)
	must(t, err)
	l.Release()
	want(t, l.Expunge([]storage.MessageID{id}), storage.ErrFenced)
	l2, err := s.LockMaildrop(a)
	must(t, err)
	want(t, l.Expunge([]storage.MessageID{id}), storage.ErrFenced)
	l2.Release()
	if n := len(Contents(t, s, a)); n != 1 {
		t.Errorf("%d messages are left", n)
	}
}

// A session keeps no account: it loses its lock, and what it has open ends with an error
// that is not ErrCorrupt.
func removedWhileOpen(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	var ids []storage.MessageID
	for range 3 {
		id, err := Deliver(s, Body(300_000, "own"), a)
		must(t, err)
		ids = append(ids, id)
	}
	shared, err := Deliver(s, Body(300_000, "shared"), a, b)
	must(t, err)
	l, err := s.LockMaildrop(a)
	must(t, err)
	list, err := l.List(100)
	must(t, err)
	m, err := l.Open(ids[0])
	must(t, err)
	_, err = m.Next()
	must(t, err)
	must(t, s.RemoveAccount(a))
	for err == nil {
		_, err = m.Next()
	}
	m.Close()
	want(t, err, storage.ErrFenced)
	_, err = l.Open(ids[1])
	want(t, err, storage.ErrFenced)
	_, err = l.Sequence()
	want(t, err, storage.ErrFenced)
	_, err = l.List(list.Len())
	want(t, err, storage.ErrFenced)
	want(t, l.Expunge([]storage.MessageID{ids[1], shared}), storage.ErrFenced)
	l.Release()
	_, err = s.LockMaildrop(a)
	want(t, err, storage.ErrNotFound)
	same(t, Contents(t, s, b)[shared], Body(300_000, "shared"))
	if sum := Clean(t, s); sum.Messages != 1 || sum.Bodies != 1 {
		t.Errorf("left: %+v", sum)
	}
	again := Account(t, s, "alice")
	l2, err := s.LockMaildrop(again)
	must(t, err)
	l.Release() // the lock was lost: takes nothing from the account of the same name
	_, err = s.LockMaildrop(again)
	want(t, err, storage.ErrInUse)
	l2.Release()
}

func more(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	for range 3 {
		_, err := Deliver(s, Body(10, "x"), a)
		must(t, err)
	}
	l, err := s.LockMaildrop(a)
	must(t, err)
	defer l.Release()
	for limit, more := range map[int]bool{2: true, 3: false, 4: false} {
		list, err := l.List(limit)
		must(t, err)
		if list.Len() != min(limit, 3) || list.More != more {
			t.Errorf("List(%d): %d messages, More %v", limit, list.Len(), list.More)
		}
	}
}

func expunge(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	bodies := make(map[storage.MessageID][]byte)
	var ids []storage.MessageID
	for i := range 20 {
		body := Body(i*9000+10, "x")
		id, err := Deliver(s, body, a)
		must(t, err)
		ids = append(ids, id)
		bodies[id] = body
	}
	other, err := Deliver(s, Body(10, "other"), b)
	must(t, err)
	l, err := s.LockMaildrop(a)
	must(t, err)
	gone := append([]storage.MessageID{other, ids[3], ids[3]}, ids[10:15]...)
	must(t, l.Expunge(gone))
	must(t, l.Expunge(gone))
	must(t, l.Expunge(nil))
	_, err = l.Open(ids[3])
	want(t, err, storage.ErrNotFound)
	_, err = l.Open(other)
	want(t, err, storage.ErrNotFound)
	l.Release()
	got := Contents(t, s, a)
	if len(got) != 14 {
		t.Errorf("%d messages are left, want 14", len(got))
	}
	for id, body := range got {
		same(t, body, bodies[id])
	}
	if n := len(Contents(t, s, b)); n != 1 {
		t.Errorf("the other maildrop has %d messages", n)
	}
}

func viewIsSnapshot(t *testing.T, s storage.Store) {
	a := Account(t, s, "alice")
	body := Body(100_000, "x")
	first, err := Deliver(s, body, a)
	must(t, err)
	v, err := s.View(a)
	must(t, err)
	defer v.Close()
	_, err = Deliver(s, body, a)
	must(t, err)
	l, err := s.LockMaildrop(a)
	must(t, err)
	must(t, l.Expunge([]storage.MessageID{first}))
	l.Release()
	n := 0
	for ; v.Next(); n++ {
		m, err := v.Open()
		must(t, err)
		if id := m.Entry().ID; id != first {
			t.Errorf("the snapshot shows message %s", id)
		}
		b, err := ReadAll(m)
		must(t, err)
		same(t, b, body)
	}
	if n != 1 || v.Err() != nil {
		t.Errorf("the snapshot has %d messages, %v", n, v.Err())
	}
}

func browse(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	var ids []storage.MessageID
	for range 5 {
		id, err := Deliver(s, Body(200, "x"), a)
		must(t, err)
		ids = append(ids, id)
		_, err = Deliver(s, Body(200, "of bob"), b)
		must(t, err)
	}
	f := func(from storage.MessageID, wanted ...storage.MessageID) {
		t.Helper()
		v, err := s.Browse(a, from)
		must(t, err)
		defer v.Close()
		var got []storage.MessageID
		for v.Next() {
			m, err := v.Open()
			must(t, err)
			got = append(got, m.Entry().ID)
			b, err := ReadAll(m)
			must(t, err)
			same(t, b, Body(200, "x"))
			m.Close()
		}
		if !slices.Equal(got, wanted) || v.Err() != nil {
			t.Errorf("from %s: %v, %v; want %v", from, got, v.Err(), wanted)
		}
	}
	f(storage.MaxMessageID, ids[4], ids[3], ids[2], ids[1], ids[0])
	f(ids[2], ids[2], ids[1], ids[0])
	f(ids[2]-1, ids[1], ids[0])
	f(ids[0], ids[0])
	f(ids[0] - 1)
	f(0)
	_, err := s.Browse(4711, storage.MaxMessageID)
	want(t, err, storage.ErrNotFound)
}

func removeAccount(t *testing.T, s storage.Store) {
	a, b := Account(t, s, "alice"), Account(t, s, "bob")
	shared, err := Deliver(s, Body(150_000, "shared"), a, b)
	must(t, err)
	_, err = Deliver(s, Body(150_000, "own"), a)
	must(t, err)
	must(t, s.RemoveAccount(a))
	same(t, Contents(t, s, b)[shared], Body(150_000, "shared"))
	if sum := Clean(t, s); sum.Messages != 1 || sum.Bodies != 1 || sum.Accounts != 1 {
		t.Errorf("left: %+v", sum)
	}
	_, err = s.Lookup("alice", Domain)
	want(t, err, storage.ErrNotFound)
	_, _, err = s.Usage(a)
	want(t, err, storage.ErrNotFound)
	must(t, s.RemoveAccount(b))
	if sum := Clean(t, s); sum.Messages != 0 || sum.Bodies != 0 {
		t.Errorf("left: %+v", sum)
	}
}
