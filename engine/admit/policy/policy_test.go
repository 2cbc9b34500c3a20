package policy

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestGreylist(t *testing.T) {
	g := new(Greylist)
	g.Configure(GreylistRules{Delay: 5 * time.Minute, Window: 48 * time.Hour, Keep: 35 * 24 * time.Hour, Max: 1000}, time.Now(), new(sync.Mutex))
	at := func(after time.Duration, ip, from, to string, want Greyed) {
		t.Helper()
		if got := g.Judge(addr(ip), from, to, start.Add(after)); got != want {
			t.Errorf("%v: %s <%s> <%s>: %d, want %d", after, ip, from, to, got, want)
		}
	}
	at(0, "192.0.2.1", "a@x", "b@y", New)
	at(time.Minute, "192.0.2.1", "a@x", "b@y", TooEarly)
	at(5*time.Minute, "192.0.2.99", "a@x", "b@y", Passed) // another host of the pool
	at(6*time.Minute, "192.0.2.1", "a@x", "b@y", Known)
	at(6*time.Minute, "192.0.2.1", "a@x", "c@y", New)
	at(6*time.Minute, "192.0.3.1", "a@x", "b@y", New)
	at(49*time.Hour, "192.0.3.1", "a@x", "b@y", New) // its window is over
	at(34*24*time.Hour, "192.0.2.1", "a@x", "b@y", Known)
	at(68*24*time.Hour, "192.0.2.1", "a@x", "b@y", Known)
	at(120*24*time.Hour, "192.0.2.1", "a@x", "b@y", New)
	if !New.Wait() || !TooEarly.Wait() || Known.Wait() || Passed.Wait() {
		t.Error("who waits?")
	}
}

func TestGreylistKnowsNetworks(t *testing.T) {
	g := new(Greylist)
	g.Configure(GreylistRules{Delay: time.Minute, Window: time.Hour, Keep: 24 * time.Hour, Max: 1000}, time.Now(), new(sync.Mutex))
	for i := range knownAfter {
		from := fmt.Sprint(i)
		g.Judge(addr("192.0.2.1"), from, "b@y", start)
		if got := g.Judge(addr("192.0.2.1"), from, "b@y", start.Add(2*time.Minute)); got != Passed {
			t.Fatalf("%d: %d", i, got)
		}
	}
	if got := g.Judge(addr("192.0.2.200"), "new@x", "b@y", start.Add(3*time.Minute)); got != Known {
		t.Errorf("a network that came back %d times: %d", knownAfter, got)
	}
}

func TestGreylistStaysInBounds(t *testing.T) {
	g := new(Greylist)
	g.Configure(GreylistRules{Delay: time.Minute, Window: time.Hour, Keep: 24 * time.Hour, Max: 100}, time.Now(), new(sync.Mutex))
	g.Judge(addr("192.0.2.1"), "a@x", "b@y", start)
	g.Judge(addr("192.0.2.1"), "a@x", "b@y", start.Add(2*time.Minute))
	for i := range 5000 {
		g.Judge(addr("198.51.100.1"), fmt.Sprint(i), "b@y", start.Add(2*time.Minute+time.Duration(i)*time.Millisecond))
		if g.seen.Len() > 100 {
			t.Fatalf("%d triplets", g.seen.Len())
		}
	}
	if got := g.Judge(addr("192.0.2.1"), "a@x", "b@y", start.Add(10*time.Minute)); got != Known {
		t.Errorf("one that passed was forgotten for those who wait: %d", got)
	}
}
