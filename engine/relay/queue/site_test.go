package queue

import (
	"testing"
	"time"

	"postrider/engine/mail/router"
)

// A site is remembered until its rate limit is as if nothing had been sent: one that is
// forgotten earlier would have all tokens again.
func TestASiteIsRememberedForItsRate(t *testing.T) {
	hop := router.Hop{Host: "example.org"}
	s := New(Config{Rate: 10, PerSite: 1, Initial: 1, NextHop: func(string, string) router.Hop { return hop }})
	now := time.Unix(1e9, 0)
	st := s.site(hop)
	for range 10 {
		if !st.bucket.Take(st.rate, now) {
			t.Fatal("a second's worth may go at once")
		}
	}
	var e Effects
	s.forget(st, now)
	for ms := 100; ms < 1000; ms += 100 {
		s.Tick(now.Add(time.Duration(ms)*time.Millisecond), &e)
		if s.sites[hop] != st {
			t.Fatalf("forgotten after %d ms", ms)
		}
	}
	if s.Tick(now.Add(time.Second), &e); s.sites[hop] != nil || !s.Idle() {
		t.Error("remembered for nothing")
	}
}

// A job that gets no session costs its site no token.
func TestAJobWithoutASessionCostsNoToken(t *testing.T) {
	hop := router.Hop{Host: "example.org"}
	s := New(Config{Rate: 10, PerSite: 1, Initial: 1, Sessions: 0, NextHop: func(string, string) router.Hop { return hop }})
	now := time.Unix(1e9, 0)
	st := s.site(hop)
	st.jobs = []*Job{{Hop: hop}}
	var e Effects
	if s.pump(st, now, &e); !st.waiting || !st.bucket.IsFull(now) {
		t.Errorf("it waits: %v; %v tokens are missing", st.waiting, st.bucket.Used(st.rate, now))
	}
}
