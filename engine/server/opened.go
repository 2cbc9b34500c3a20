package server

import (
	"net/netip"
	"sync"

	"postrider/engine/edge/limit"
)

// maxChecksOfClient is how many messages of one client are checked at once: a client whose
// name servers are silent keeps each check for policy.verify_timeout, and all others would
// wait for their turn.
const maxChecksOfClient = 32

// opened counts the checks that each client has open. It is safe for use by many
// goroutines.
type opened struct {
	mu sync.Mutex
	of map[netip.Prefix]int // those that have one
}

// isFull says whether the client may have no more.
func (o *opened) isFull(ip netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[limit.Client(ip)] >= maxChecksOfClient
}

// begin counts one more, if there may be one more.
func (o *opened) begin(ip netip.Addr) bool {
	client := limit.Client(ip)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[client] >= maxChecksOfClient {
		return false
	}
	o.of[client]++
	return true
}

// end counts one less.
func (o *opened) end(ip netip.Addr) {
	client := limit.Client(ip)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[client]--; o.of[client] == 0 {
		delete(o.of, client)
	}
}
