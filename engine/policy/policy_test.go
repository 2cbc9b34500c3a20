package policy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestParseRate(t *testing.T) {
	for _, s := range []string{"", "30/1m0s", "1/24h0m0s"} {
		if r, err := ParseRate(s); err != nil || r.String() != s {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
	for _, s := range []string{"30", "0/1m", "-1/1m", "x/1m", "30/1", "30/", "30/0s", "30/25h", "/1m"} {
		if r, err := ParseRate(s); err == nil || r != (Rate{}) {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
}

func TestClientAndNetwork(t *testing.T) {
	f := func(ip, client, network string) {
		t.Helper()
		if c, n := Client(addr(ip)), Network(addr(ip)); c.String() != client || n.String() != network {
			t.Errorf("%s: %s in %s", ip, c, n)
		}
	}
	f("192.0.2.7", "192.0.2.7/32", "192.0.2.0/24")
	f("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.0/24")
	f("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48")
	f("fe80::1%eth0", "fe80::/64", "fe80::/48")
}

func TestRates(t *testing.T) {
	r := NewRates(Rate{3, time.Minute}, 100)
	a, b := Client(addr("192.0.2.1")), Client(addr("192.0.2.2"))
	at := func(after time.Duration, who netip.Prefix, want bool) {
		t.Helper()
		if got := r.Take(who, start.Add(after)); got != want {
			t.Errorf("%v: %s: %v", after, who, got)
		}
	}
	at(0, a, true)
	at(0, a, true)
	at(0, a, true)
	at(0, a, false)
	at(0, b, true)
	at(19*time.Second, a, false)
	at(20*time.Second, a, true) // a third of the minute is a token
	at(20*time.Second, a, false)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, false) // the bucket holds no more than three
	at(9*time.Minute, b, true)

	free := NewRates(Rate{}, 1)
	for range 1000 {
		if !free.Take(a, start) {
			t.Fatal("a limit where there is none")
		}
	}
}

func TestRatesStayInBounds(t *testing.T) {
	r := NewRates(Rate{2, time.Hour}, 50)
	busy := Client(addr("198.51.100.1"))
	r.Take(busy, start)
	r.Take(busy, start)
	for i := range 5000 {
		r.Take(Client(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), start.Add(time.Duration(i)*time.Millisecond))
		if len(r.fullAt) > 50 {
			t.Fatalf("%d buckets", len(r.fullAt))
		}
	}
	if r.Take(busy, start.Add(5*time.Second)) {
		t.Error("the bucket that matters most was forgotten")
	}
}

func TestGreylist(t *testing.T) {
	g := &Greylist{Delay: 5 * time.Minute, Window: 48 * time.Hour, Keep: 35 * 24 * time.Hour, Max: 1000}
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
	g := &Greylist{Delay: time.Minute, Window: time.Hour, Keep: 24 * time.Hour, Max: 1000}
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
	g := &Greylist{Delay: time.Minute, Window: time.Hour, Keep: 24 * time.Hour, Max: 100}
	g.Judge(addr("192.0.2.1"), "a@x", "b@y", start)
	g.Judge(addr("192.0.2.1"), "a@x", "b@y", start.Add(2*time.Minute))
	for i := range 5000 {
		g.Judge(addr("198.51.100.1"), fmt.Sprint(i), "b@y", start.Add(2*time.Minute+time.Duration(i)*time.Millisecond))
		if len(g.seen) > 100 {
			t.Fatalf("%d triplets", len(g.seen))
		}
	}
	if got := g.Judge(addr("192.0.2.1"), "a@x", "b@y", start.Add(10*time.Minute)); got != Known {
		t.Errorf("one that passed was forgotten for those who wait: %d", got)
	}
}

// What was used is owed, also more than there was, and never more than one bucket.
func TestRatesOwe(t *testing.T) {
	r := NewRates(Rate{10, time.Minute}, 100)
	a, b := Client(addr("192.0.2.1")), Client(addr("192.0.2.2"))
	has := func(after time.Duration, who netip.Prefix, want bool) {
		t.Helper()
		if got := r.Has(who, start.Add(after)); got != want {
			t.Errorf("%v: %s: %v", after, who, got)
		}
	}
	has(0, a, true)
	r.Owe(a, 9, start)
	has(0, a, true)
	r.Owe(a, 1, start)
	has(0, a, false)
	has(0, b, true)
	has(6*time.Second, a, true)
	r.Owe(a, 1_000_000_000, start)
	r.Owe(a, 0, start)
	has(66*time.Second, a, true) // two buckets, less one token
	has(65*time.Second, a, false)
	if (NewRates(Rate{}, 1)).Has(a, start) != true {
		t.Error("no limit is one")
	}
	for i := range 1000 {
		r.Owe(Client(netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})), 5, start)
	}
	if len(r.fullAt) > 100 {
		t.Errorf("%d buckets are kept", len(r.fullAt))
	}
}
