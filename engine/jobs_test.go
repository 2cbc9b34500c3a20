package engine

import (
	"net/netip"
	"testing"
	"time"
)

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
