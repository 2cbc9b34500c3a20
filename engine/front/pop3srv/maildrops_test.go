package pop3srv

import (
	"errors"
	"testing"
	"time"

	"postrider/storage"
)

var errBroken = errors.New("broken")

// A maildrop that was locked is given back when the login comes to nothing.
func TestMaildropsAreGivenBackWhenALoginFails(t *testing.T) {
	for name, on := range map[string]func(call string) error{
		"no list": func(call string) error {
			if call == "list" {
				return errBroken
			}
			return nil
		},
		"a panic": func(call string) error {
			if call == "list" {
				panic("broken")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{on: func(call string, _ storage.MessageID) error { return on(call) }}
			m := maildrops{store: s, times: new(loginTimes)}
			m.max.Store(10)
			m.times.delay.Store(int64(0))
			func() {
				defer func() { _ = recover() }()
				if lock, l, err := m.open(1); lock != nil || l != nil || !errors.Is(err, errBroken) {
					t.Errorf("%v, %v, %v", lock, l, err)
				}
			}()
			if s.locks != 1 || s.taken {
				t.Errorf("the maildrop was locked %d times, and is taken: %v", s.locks, s.taken)
			}
		})
	}
}

// The delay counts logins that got the maildrop; a login too soon gives it back.
func TestALoginTooSoonGivesTheMaildropBack(t *testing.T) {
	s := &shelf{texts: []string{"a\r\n", "b\r\n", "c\r\n"}}
	m := maildrops{store: s, times: new(loginTimes)}
	m.max.Store(2)
	m.times.delay.Store(int64(time.Hour))
	lock, l, err := m.open(1)
	if err != nil || l.Len() != 2 {
		t.Fatalf("%v, %v", l, err)
	}
	if _, _, err := m.open(1); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("the maildrop of another session: %v", err)
	}
	lock.Release()
	if _, _, err := m.open(1); !errors.Is(err, errTooSoon) {
		t.Errorf("at once again: %v", err)
	}
	if !s.isFree() {
		t.Error("the maildrop is still taken")
	}
}

// What is remembered of logins is bounded by the logins of two delays.
func TestLoginTimesForget(t *testing.T) {
	at := time.Unix(1000, 0)
	l := new(loginTimes)
	l.delay.Store(int64(time.Minute))
	allow := func(want bool, id storage.AccountID) {
		t.Helper()
		if got := l.allow(id, at); got != want {
			t.Errorf("account %d at %v: %v", id, at, got)
		}
	}
	allow(true, 1)
	allow(false, 1)
	allow(true, 2)
	at = at.Add(time.Minute - 1)
	allow(false, 1)
	at = at.Add(1)
	allow(true, 1)
	at = at.Add(2 * time.Minute)
	for round := range 20 {
		for i := range 100 {
			allow(true, storage.AccountID(1000*(round+1)+i))
		}
		at = at.Add(time.Minute + 1)
		if n := l.last.Len(); n > 200 {
			t.Fatalf("%d logins are remembered after round %d", n, round)
		}
	}
	l = new(loginTimes)
	allow(true, 1)
	allow(true, 1)
	if l.last.Len() != 0 {
		t.Error("without a delay something is remembered")
	}
}
