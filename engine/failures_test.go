package engine

import (
	"net/netip"
	"testing"
	"time"
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
	later := now.Add(time.Minute) // all have their tokens again, and those that are looked at go
	if f.admit(network(2000<<8), later); f.of.Len() > maxNetworks-10 {
		t.Errorf("%d are remembered", f.of.Len())
	}
}
