package courier

import (
	"net/netip"
	"sync"
	"time"
)

// clearHosts remembers hosts that offer TLS which does not work. They get mail in
// clear text at once, where that may be, and not behind a handshake that fails.
type clearHosts struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time // under mu
}

const (
	clearFor  = time.Hour // then TLS is tried anew
	mostClear = 10_000
)

func (c *clearHosts) has(a netip.AddrPort, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.until[a]
	if ok && !now.Before(until) {
		delete(c.until, a)
		return false
	}
	return ok
}

func (c *clearHosts) add(a netip.AddrPort, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == nil {
		c.until = make(map[netip.AddrPort]time.Time)
	}
	for victim := range c.until {
		if len(c.until) < mostClear {
			break
		}
		delete(c.until, victim) // any: it costs one handshake
	}
	c.until[a] = now.Add(clearFor)
}
