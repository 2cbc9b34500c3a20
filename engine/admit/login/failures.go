package login

import (
	"net/netip"
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// failures counts wrong passwords by network, so that a client that guesses gets
// auth.failures_per_network hashes in auth.failure_window and no more, however
// many connections it opens. A login takes a token before it is looked at and
// gets it back when it was right: what is under way counts as wrong, or a
// thousand guesses at once would all be looked at.
//
// A network is that of limit.Customer, a /24 of IPv4 or a /64 of IPv6. The memory is bounded: of maxNetworks networks one of a sample with
// few failures is forgotten.
type failures struct {
	mu sync.Mutex
	of *limit.Buckets[netip.Prefix]
}

// maxNetworks bounds the memory for networks that guess.
const maxNetworks = 1 << 16

// newFailures allows most failures of a network in window; 0: there is no limit.
func newFailures(most int, window time.Duration) *failures {
	return &failures{of: limit.NewBuckets[netip.Prefix](limit.Rate{Count: most, Per: window}, maxNetworks)}
}

// configure replaces the limit. One call at a time.
func (f *failures) configure(most int, window time.Duration, now time.Time) {
	f.of.Configure(limit.Rate{Count: most, Per: window}, maxNetworks, float64(most), now, &f.mu)
}

// admit takes a token of the network, or says that it has none left.
func (f *failures) admit(ip netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of.Take(limit.Customer(ip), now)
}

// owes reports whether the network has taken more than the one token of a login that
// was just admitted.
func (f *failures) owes(ip netip.Addr, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of.Used(limit.Customer(ip), now) > 1
}

// forgive gives the token back: the password was right, or it was not looked at.
func (f *failures) forgive(ip netip.Addr, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of.Give(limit.Customer(ip), 1, now)
}
