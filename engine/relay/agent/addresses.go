package agent

import (
	"net/netip"
	"sync"

	"postrider/engine/edge/limit"
	"postrider/engine/relay/mx"
)

// addressCounts counts the connections to each address of the hosts that DNS gives for a
// domain. A thousand domains with the same host together get only the connections of one
// address.
type addressCounts struct {
	mu sync.Mutex
	by map[netip.Prefix]int // under mu; an IPv6 /64 is one address
}

// enter counts a connection, and returns the function that ends it. It returns nil when the
// address has bound connections already.
func (a *addressCounts) enter(ip netip.Addr, bound int) (leave func()) {
	peer := limit.Client(ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by[peer] >= bound {
		return nil
	}
	a.by[peer]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.by[peer]--; a.by[peer] == 0 {
			delete(a.by, peer)
		}
	}
}

// shareOfStrange is how many of the connections are for hosts that are slow or not known
// yet: see queue.Config.
func shareOfStrange(connections int) int { return max(connections-connections/4, 1) }

// maxPerAddress is how many connections one address may have: a fifth of
// relay.connections, or relay.connections_per_destination if that is more, but at most half
// of shareOfStrange.
func (c *Courier) maxPerAddress() int {
	set := c.rules()
	return min(max(set.Connections/5, set.ConnectionsPerDestination), max(shareOfStrange(set.Connections)/2, 1))
}

// enter counts a connection to a host. leave is nil when the host's address has
// bound connections already. A next hop that the operator named has no bound.
func (t *attempt) enter(host mx.Host) (leave func(), bound int) {
	if t.set.Rules.Names(t.hop) {
		return func() {}, 0
	}
	bound = max(t.c.maxPerAddress(), t.set.Limits[t.hop.String()].Sessions)
	return t.c.perAddress.enter(host.Addr.Addr(), bound), bound
}
