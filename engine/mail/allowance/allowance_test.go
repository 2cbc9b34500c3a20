package allowance

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"postrider/storage"
)

var start = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

func TestTheHourSlides(t *testing.T) {
	b := New(Limits{Messages: 3, Recipients: 2})
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	for _, m := range []int{0, 10, 20} {
		if r := b.Message(1, at(m)); r != nil {
			t.Fatalf("minute %d: %+v", m, r)
		}
	}
	r := b.Message(1, at(25))
	if r == nil || r.What != "messages" || r.Limit != 3 || !r.Again.Equal(time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)) {
		t.Fatalf("the fourth message: %+v", r)
	}
	if b.Message(2, at(25)) != nil {
		t.Error("another account has to suffer")
	}
	if b.Message(1, r.Again.Add(-time.Second)) == nil {
		t.Error("taken a second too early")
	}
	if b.Message(1, r.Again) != nil {
		t.Error("refused at the time that was said")
	}
	if b.Message(1, r.Again) == nil {
		t.Error("two came back for one")
	}
	b.Return(1, r.Again, 1, 0)
	if b.Message(1, r.Again) != nil {
		t.Error("what was returned can't be used")
	}
	if b.Recipient(1, at(0)) != nil || b.Recipient(1, at(1)) != nil {
		t.Error("recipients are refused")
	}
	if r := b.Recipient(1, at(2)); r == nil || r.What != "recipients" {
		t.Errorf("the third recipient: %+v", r)
	}
	if b.Message(1, at(1000)) != nil || b.accounts.Len() != 1 {
		t.Errorf("%d accounts are kept", b.accounts.Len())
	}
}

// An account that has sent to its limit waits an hour at most, whatever the clock does.
func TestStepsOfTheClockChangeNoAllowance(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 48 * time.Hour, 400 * 24 * time.Hour, -400 * 24 * time.Hour} {
		b := New(Limits{Messages: 3})
		now, passed := start, time.Duration(0)
		began := passed
		b.passed = func(_, _ time.Time) time.Duration { return passed - began }
		wait := func(d time.Duration) { now, passed = now.Add(d), passed+d }
		for range 2 {
			if b.Message(1, now) != nil {
				t.Fatalf("%v: refused below the limit", step)
			}
			wait(time.Minute)
		}
		now = now.Add(step)
		if b.Message(1, now) != nil {
			t.Fatalf("%v: refused below the limit", step)
		}
		if b.Message(1, now) == nil {
			t.Errorf("%v: the step has emptied the hour", step)
		}
		now = now.Add(-step)
		wait(time.Minute)
		r := b.Message(1, now)
		if r == nil || r.Again.Sub(now) > time.Hour || !r.Again.After(now) {
			t.Fatalf("%v: at %s: %+v", step, now, r)
		}
		wait(r.Again.Sub(now))
		if b.Message(1, now) != nil {
			t.Errorf("%v: refused at the time that was said", step)
		}
		wait(2 * time.Hour)
		if b.Message(2, now) != nil || b.accounts.Len() != 1 {
			t.Errorf("%v: %d accounts are kept", step, b.accounts.Len())
		}
	}
}

// A message that is not sent gives all back, and one that is sent keeps what its recipients
// took.
func TestABookingGivesBackWhatWasNotSent(t *testing.T) {
	b := New(Limits{Messages: 2, Recipients: 3})
	begin := func() *Booking {
		t.Helper()
		k, r := b.Begin(1, start)
		if r != nil {
			t.Fatalf("refused below the limit: %+v", r)
		}
		return &k
	}
	take := func(k *Booking, n int) {
		t.Helper()
		for range n {
			if r := k.Recipient(); r != nil {
				t.Fatalf("refused below the limit: %+v", r)
			}
		}
	}
	for range 5 {
		k := begin()
		take(k, 3)
		if r := k.Recipient(); r == nil || r.What != "recipients" {
			t.Fatalf("the fourth recipient: %+v", r)
		}
		k.Cancel()
		k.Cancel() // has nothing more to give back
	}
	sent := begin()
	take(sent, 3)
	sent.Refused(1)
	other := begin()
	take(other, 1)
	if other.Recipient() == nil {
		t.Error("the recipients of a message that was sent are given back")
	}
	if k, r := b.Begin(1, start); r == nil || r.What != "messages" {
		t.Errorf("the third message: %+v", r)
	} else {
		k.Cancel()
	}
	if other.Cancel(); b.Recipient(1, start) != nil {
		t.Error("the recipient of a message that was not sent is still booked")
	}
}

func TestNoLimits(t *testing.T) {
	b := New(Limits{})
	for range 100 {
		if b.Message(1, start) != nil || b.Recipient(1, start) != nil {
			t.Fatal("refused without a limit")
		}
	}
}

// In no sixty minutes, counted as minutes of the clock, is more taken than the limit;
// and what is refused would have been more.
func TestAgainstTheList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		b := New(Limits{Messages: limit})
		var taken []int64
		now := start
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "seconds")) * time.Second)
			minute, recent := now.Unix()/60, 0
			for _, m := range taken {
				if m > minute-minutes {
					recent++
				}
			}
			r := b.Message(storage.AccountID(1), now)
			if (r != nil) != (recent >= limit) {
				t.Fatalf("%s: %d of %d in the last hour, refused %v", now, recent, limit, r != nil)
			}
			if r == nil {
				taken = append(taken, minute)
			} else if !r.Again.After(now) || r.Again.After(now.Add(time.Hour)) {
				t.Fatalf("at %s: again at %s", now, r.Again)
			}
		}
	})
}
