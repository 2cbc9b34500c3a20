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
	for n := range maxNetworks {
		f.of[networkOf(netip.AddrFrom16([16]byte{0x20, 1, 0, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}))] = bucket{0, now}
	}
	for n := range 1000 {
		if ip := network(n << 8); !f.admit(ip, now) || len(f.of) != maxNetworks {
			t.Fatalf("network %d: %d are remembered", n, len(f.of))
		}
	}
	f.makeRoom(now)
	if left := maxNetworks - len(f.of); left != 1 {
		t.Errorf("%d were forgotten, though all have failures", left)
	}
	later := now.Add(time.Minute) // all have their tokens again
	f.of[network(1)] = bucket{3, later}
	f.makeRoom(later)
	if left := maxNetworks - len(f.of); left < 1 || left > sampled {
		t.Errorf("%d were forgotten of %d looked at", left, sampled)
	}
}
