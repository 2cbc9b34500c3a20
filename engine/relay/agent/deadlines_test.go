package agent

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"postrider/engine/protocol/smtpclient"
)

// startTrickle runs a host that writes before, and then without end: one octet at a time,
// each sooner than any deadline, or with lines one line of a reply at a time. It reads
// nothing.
func startTrickle(t *testing.T, addr, before string, lines bool) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	done := make(chan struct{})
	t.Cleanup(func() { close(done); l.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				if _, err := c.Write([]byte(before)); err != nil {
					return
				}
				for {
					said := "x"
					if lines {
						said = "\r\n220-x"
					}
					if _, err := c.Write([]byte(said)); err != nil {
						return
					}
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}
	})
}

// A reply has a deadline as a whole; its octets and lines don't renew it.
func TestARepliesTimeIsNotRenewed(t *testing.T) {
	for name, c := range map[string]struct {
		before, want string
		lines        bool
	}{
		"greeting":          {"220-a", "timed out while receiving the initial server greeting", false},
		"greeting by lines": {"220-a", "timed out while receiving the initial server greeting", true},
		"EHLO":              {"220 a\r\n250-b", "timed out while performing the EHLO handshake", false},
		"MAIL":              {"220 a\r\n250 b\r\n250-", "timed out while sending MAIL FROM", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil, 0, func(set *Settings) {
				set.Command = 500 * time.Millisecond
				set.Security.MTASTS = false
			}, "slow.test. MX 10 mx.slow.test.", "mx.slow.test. A 127.0.0.2")
			startTrickle(t, b.at(2), c.before, c.lines)
			wantText(t, b.deferred("x@slow.test"), c.want)
		})
	}
}

// The deadlines of a peer for one message grow with the message's size only.
func TestDeadlines(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	c := new(Courier)
	c.live.Store(&rules{Settings: defaults()})
	d := c.deadlines(now, 5_000_000)
	for _, step := range []struct {
		after time.Duration
		wait  smtpclient.Wait
		want  time.Duration
	}{
		{0, smtpclient.WaitGreeting, 5 * time.Minute},
		{4 * time.Minute, smtpclient.WaitCommand, 9 * time.Minute},
		{12 * time.Minute, smtpclient.WaitCommand, 15 * time.Minute},
		{14 * time.Minute, smtpclient.WaitDataInit, 15 * time.Minute},
		{14 * time.Minute, smtpclient.WaitDataDone, 24 * time.Minute},
	} {
		if got := d.next(now.Add(step.after), step.wait).Sub(now); got != step.want {
			t.Errorf("%v at %v: until %v, want %v", step.wait, step.after, got, step.want)
		}
	}
	d.beginBody(now)
	if got := d.next(now.Add(time.Hour), smtpclient.WaitDataBlock).Sub(now); got != time.Hour+3*time.Minute {
		t.Errorf("a piece in time: until %v", got)
	}
	if got := d.next(now.Add(3*time.Hour), smtpclient.WaitDataBlock).Sub(now); got != 10_000*time.Second+3*time.Minute {
		t.Errorf("the last piece: until %v", got)
	}
	c.rules().MinDataRate = 0
	if got := d.next(now.Add(3*time.Hour), smtpclient.WaitDataBlock).Sub(now); got != 3*time.Hour+3*time.Minute {
		t.Errorf("without a minimum: until %v", got)
	}
}

// One address gets only some of the connections, whatever the number of its domains.
func TestConnectionsOfOneAddress(t *testing.T) {
	b := newBed(t, nil, 0, func(set *Settings) {
		set.Connections, set.ConnectionsPerDestination, set.Security.MTASTS = 4, 1, false
	}, "a.test. MX 10 mx.evil.test.", "b.test. MX 10 mx.evil.test.", "c.test. MX 10 mx.evil.test.",
		"mx.evil.test. A 127.0.0.3", "good.test. MX 10 mx.good.test.", "mx.good.test. A 127.0.0.4")
	startTrickle(t, b.at(3), "220-", false)
	host := startScripted(t, b.at(4), nil)
	for _, to := range []string{"x@a.test", "x@b.test", "x@c.test"} {
		b.submit(to)
	}
	b.submit("x@good.test")
	b.until("the good host has its message", func() bool {
		host.mu.Lock()
		defer host.mu.Unlock()
		return len(host.mail) == 1
	})
	if n := b.maxPerAddress(); n != 1 {
		t.Errorf("%d connections for one address", n)
	}
	b.perAddress.mu.Lock()
	for ip, n := range b.perAddress.by {
		if n > 1 {
			t.Errorf("%d connections to %v", n, ip)
		}
	}
	b.perAddress.mu.Unlock()
}

// A domain with many slow hosts does not get the time of each: after three times
// relay.command_timeout no other host is tried.
func TestAnAttemptHasItsTime(t *testing.T) {
	records := []string{}
	for i := 2; i <= 6; i++ {
		records = append(records, fmt.Sprintf("slow.test. MX %d mx%d.slow.test.", i, i), fmt.Sprintf("mx%d.slow.test. A 127.0.0.%d", i, i))
	}
	b := newBed(t, nil, 0, func(set *Settings) {
		set.Command = 500 * time.Millisecond
		set.Security.MTASTS = false
	}, records...)
	for i := 2; i <= 5; i++ {
		startTrickle(t, b.at(i), "220-", false)
	}
	l, err := net.Listen("tcp", b.at(6))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Error("the fifth host was tried, after four that took all their time")
		}
	}()
	b.deferred("x@slow.test")
	l.Close()
	<-asked
}
