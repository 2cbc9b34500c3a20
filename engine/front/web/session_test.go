package web

import (
	"errors"
	"testing"
	"time"

	"postrider/storage"
)

func TestSessionsEnd(t *testing.T) {
	start := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	account := storage.Account{ID: 1, Name: "bob", Hash: "one"}
	now := account
	var gone error
	look := func(storage.AccountID) (storage.Account, error) { return now, gone }
	begin := func() (ss *sessions, cookie string, ended *int) {
		ended = new(int)
		ss = newSessions(time.Hour, 3*time.Hour, func(*session) { *ended++ })
		cookie, _ = ss.begin(account, start)
		return ss, cookie, ended
	}
	f := func(what string, at time.Duration, change func(), lives bool) {
		t.Helper()
		ss, cookie, ended := begin()
		now, gone = account, nil
		for _, used := range []time.Duration{30 * time.Minute, 80 * time.Minute, 130 * time.Minute} {
			if used < at && ss.find(cookie, start.Add(used), false, look) == nil {
				t.Fatalf("%s: over at %s", what, used)
			}
		}
		change()
		if got := ss.find(cookie, start.Add(at), false, look) != nil; got != lives || (*ended == 0) != lives {
			t.Errorf("%s: lives %v, ended %d times", what, got, *ended)
		}
		if !lives && (len(ss.all) != 0 || ss.find(cookie, start.Add(time.Minute), false, look) != nil) {
			t.Errorf("%s: it comes back", what)
		}
	}
	nothing := func() {}
	f("in use", 140*time.Minute, nothing, true)
	f("idle", 191*time.Minute-time.Minute, nothing, false)
	f("at its end", 180*time.Minute, nothing, false)
	f("password changed", 20*time.Minute, func() { now.Hash = "two" }, false)
	f("account removed", 20*time.Minute, func() { gone = storage.ErrNotFound }, false)
	f("store closed", 20*time.Minute, func() { gone = errors.New("closed") }, false)

	ss, cookie, _ := begin()
	now, gone = account, nil
	for _, at := range []time.Duration{20, 40, 59} {
		if ss.find(cookie, start.Add(at*time.Minute), true, look) == nil {
			t.Errorf("over after %d minutes", at)
		}
	}
	if ss.find(cookie, start.Add(time.Hour), true, look) != nil {
		t.Error("a list that asks for itself keeps the session alive")
	}
	ss, cookie, ended := begin()
	for _, wrong := range []string{"", "x", cookie[1:], cookie + "x"} {
		if ss.find(wrong, start, false, look) != nil {
			t.Errorf("cookie %q is taken", wrong)
		}
	}
	ss.forget(cookie)
	ss.forget(cookie)
	if *ended != 1 || ss.find(cookie, start, false, look) != nil {
		t.Error("it is not forgotten")
	}
}

func TestAnAccountHasABoundedNumberOfSessions(t *testing.T) {
	ended := 0
	ss := newSessions(time.Hour, time.Hour, func(*session) { ended++ })
	look := func(id storage.AccountID) (storage.Account, error) { return storage.Account{ID: id}, nil }
	start := time.Now()
	other, _ := ss.begin(storage.Account{ID: 2}, start)
	first, _ := ss.begin(storage.Account{ID: 1}, start)
	second, _ := ss.begin(storage.Account{ID: 1}, start.Add(time.Second))
	if ss.find(first, start.Add(2*time.Second), false, look) == nil {
		t.Fatal("the first is over")
	}
	for i := range maxSessionsOfAccount - 1 {
		ss.begin(storage.Account{ID: 1}, start.Add(time.Duration(3+i)*time.Second))
	}
	at := start.Add(time.Minute)
	if ss.find(second, at, false, look) != nil || ss.find(first, at, false, look) == nil || ss.find(other, at, false, look) == nil || ended != 1 {
		t.Errorf("not the one that was not used for longest has ended (%d have)", ended)
	}
}
