package main

import (
	"testing"
	"time"
)

// The line fits the terminal, whatever its width; what matters less goes first.
func TestProgress_Line(t *testing.T) {
	p := progress{total: 3000, elapsed: time.Second, messages: 1000, refused: 20, p99: 31234567}
	p.sample()
	p.elapsed, p.messages, p.refused = 2*time.Second, 2276, 88
	p.sample()
	f := func(columns int, want string) {
		t.Helper()
		if got := p.line(columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
	f(79, "2276 of 3000 (78 %)  1344/s  88 refused  p99 31.2ms  0s left")
	f(52, "2276 of 3000 (78 %)  1344/s  88 refused  p99 31.2ms")
	f(39, "2276 of 3000 (78 %)  1344/s  88 refused")
	f(20, "2276 of 3000 (78 %)")
	f(5, "2276 ")
	f(0, "")
	f(-1, "")
	p.total, p.duration, p.refused = 0, time.Minute, 0
	f(79, "2276 messages  1344/s  p99 31.2ms  58s left")
	p.messages, p.recent = 0, nil
	f(79, "0 messages  0/s  58s left")
}

func TestBrief(t *testing.T) {
	f := func(in time.Duration, want string) {
		t.Helper()
		if got := brief(in); got != want {
			t.Errorf("brief(%d) = %s, want %s", in, got, want)
		}
	}
	f(0, "0s")
	f(1234567, "1.23ms")
	f(999999, "1ms")
	f(123456, "123µs")
	f(12*time.Second+345678901, "12.3s")
	f(2*time.Hour, "2h0m0s")
}
