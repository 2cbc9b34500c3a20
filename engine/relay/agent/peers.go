package agent

import (
	"net/netip"
	"sync"

	"postrider/engine/edge/limit"
	"postrider/engine/relay/mx"
)

// peers counts the connections to each address that domains lead us to, whatever the
// number of domains: one machine must not have all connections because a thousand
// domains of a stranger's lead to it.
type peers struct {
	mu sync.Mutex
	by map[netip.Prefix]int // under mu; an IPv6 /64 is one address
}

// enter counts a connection in, if there are less than most, and returns what counts it
// out; nil: there is no place.
func (p *peers) enter(ip netip.Addr, most int) (leave func()) {
	peer := limit.Client(ip)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by[peer] >= most {
		return nil
	}
	p.by[peer]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.by[peer]--; p.by[peer] == 0 {
			delete(p.by, peer)
		}
	}
}

// shareOfStrange is how many of the connections hosts may have that are slow or not
// known yet; see relay.Config.
func shareOfStrange(connections int) int { return max(connections-connections/4, 1) }

// mostOfPeer is how many connections one address may have: a fifth of all, or as many
// as one destination may have if that is more, but never all that strangers may have.
func (c *Courier) mostOfPeer() int {
	set := &c.settings
	return min(max(set.Connections/5, set.ConnectionsPerDestination), max(shareOfStrange(set.Connections)/2, 1))
}

// enter counts a connection to a host in; leave is nil when its address has most of
// them. A next hop that the operator named has no such bound.
func (t *try) enter(host mx.Host) (leave func(), most int) {
	if t.c.settings.Rules.Names(t.hop) {
		return func() {}, 0
	}
	most = max(t.c.mostOfPeer(), t.c.settings.Limits[t.hop.String()].Sessions)
	return t.c.peers.enter(host.Addr.Addr(), most), most
}
