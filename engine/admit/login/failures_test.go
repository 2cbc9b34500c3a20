package login

import (
	"net/netip"
	"testing"
	"time"

	"postrider/engine/edge/limit"
)

// network is the n-th of many.
func network(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// When there are too many networks, one of a few goes, and it is one with few failures.
func TestNetworksAreForgottenBySample(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := newFailures(3, time.Minute)
	for n := range maxNetworks { // each has no token left
		ip := netip.AddrFrom16([16]byte{0x20, 1, 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)})
		for f.admit(ip, now) {
		}
	}
	for n := range 1000 {
		if ip := network(n << 8); !f.admit(ip, now) || f.of.Len() != maxNetworks {
			t.Fatalf("network %d: %d are remembered", n, f.of.Len())
		}
	}
	later := now.Add(time.Minute) // all have their tokens again, and some that are looked at go
	if f.admit(network(2000<<8), later); f.of.Len() > maxNetworks-10 {
		t.Errorf("%d are remembered", f.of.Len())
	}
}

func TestFailures(t *testing.T) {
	f := newFailures(3, 30*time.Second)
	at := time.Unix(1000, 0)
	admit := func(want bool, ip string, at time.Time) {
		t.Helper()
		if got := f.admit(netip.MustParseAddr(ip), at); got != want {
			t.Errorf("%s at %v: %v", ip, at, got)
		}
	}
	admit(true, "192.0.2.1", at)
	admit(true, "192.0.2.200", at)
	admit(true, "::ffff:192.0.2.3", at)
	admit(false, "192.0.2.1", at)
	admit(true, "192.0.3.1", at)
	f.forgive(netip.MustParseAddr("192.0.2.9"), at)
	admit(true, "192.0.2.1", at)
	admit(false, "192.0.2.1", at.Add(10*time.Second-1))
	admit(true, "192.0.2.1", at.Add(11*time.Second))
	for range 3 {
		admit(true, "2001:db8::1", at)
	}
	admit(false, "2001:db8::ffff:1", at)
	admit(true, "2001:db8:0:1::1", at)

	for i := range maxNetworks + 100 {
		f.admit(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), at)
		f.admit(netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 1, 1}), at)
	}
	if f.of.Len() > maxNetworks {
		t.Errorf("%d networks are kept", f.of.Len())
	}
	for range 10 {
		f.forgive(netip.MustParseAddr("2001:db8:0:1::1"), at)
	}
	if n := f.of.Used(limit.Customer(netip.MustParseAddr("2001:db8:0:1::1")), at); n != 0 {
		t.Errorf("a network has %v failures that were forgiven", n)
	}
	if all := newFailures(0, time.Second); !all.admit(netip.MustParseAddr("192.0.2.1"), at) || all.of.Len() != 0 {
		t.Error("0 is no limit, and keeps nothing")
	}
}

func TestWhoWaitsForOthers(t *testing.T) {
	f, at := newFailures(10, 10*time.Second), time.Now()
	ip := netip.MustParseAddr("192.0.2.1")
	neighbour, other := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.3.1")
	f.admit(ip, at)
	if f.owes(ip, at) {
		t.Error("the only login of a network has to wait")
	}
	f.admit(neighbour, at)
	f.admit(other, at)
	if !f.owes(ip, at) || !f.owes(neighbour, at) || f.owes(other, at) {
		t.Errorf("two logins of one network and one of another: %t %t %t", f.owes(ip, at), f.owes(neighbour, at), f.owes(other, at))
	}
	if f.owes(ip, at.Add(time.Second)) {
		t.Error("a failure counts for ever")
	}
	f.forgive(ip, at)
	if f.owes(neighbour, at) {
		t.Error("a login that was right still counts")
	}
}
