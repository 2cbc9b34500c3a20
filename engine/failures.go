package engine

import (
	"net/netip"
	"sync"
	"time"
)

// failures counts wrong passwords by network, so that somebody who guesses gets
// auth.failures_per_network hashes in auth.failure_window and no more, however
// many connections he opens. A login takes a token before it is looked at and
// gets it back when it was right: what is under way counts as wrong, or a
// thousand guesses at once would all be looked at.
//
// A network is a /24 of IPv4 or a /64 of IPv6, what one customer of a provider
// can move around in. The memory is bounded: when there are maxNetworks, one with
// few failures left is forgotten: see makeRoom.
type failures struct {
	most   float64 // tokens of a network; 0: no limit
	window time.Duration

	mu sync.Mutex
	of map[netip.Addr]bucket
}

// bucket is what one network has left.
type bucket struct {
	tokens float64
	at     time.Time
}

// maxNetworks bounds the memory for networks that guess.
const maxNetworks = 1 << 16

func newFailures(most int, window time.Duration) *failures {
	return &failures{most: float64(most), window: window, of: make(map[netip.Addr]bucket)}
}

// networkOf is the network that answers for an address.
func networkOf(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ip
	}
	return p.Addr()
}

// refilled is b at a later time.
func (f *failures) refilled(b bucket, now time.Time) bucket {
	return bucket{min(f.most, b.tokens+f.most*float64(now.Sub(b.at))/float64(f.window)), now}
}

// admit takes a token of the network, or says that it has none left.
func (f *failures) admit(ip netip.Addr, now time.Time) bool {
	if f.most == 0 {
		return true
	}
	ip = networkOf(ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.of[ip]
	if !ok {
		f.makeRoom(now)
		b = bucket{f.most, now}
	}
	b = f.refilled(b, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	f.of[ip] = b
	return true
}

// owes says whether the network has taken more than the one token of a login that
// was just admitted.
func (f *failures) owes(ip netip.Addr, now time.Time) bool {
	if f.most == 0 {
		return false
	}
	ip = networkOf(ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.of[ip]
	return ok && f.refilled(b, now).tokens < f.most-1
}

// forgive gives the token back: the password was right, or nobody looked at it.
func (f *failures) forgive(ip netip.Addr) {
	if f.most == 0 {
		return
	}
	ip = networkOf(ip)
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.of[ip]
	if !ok {
		return
	}
	if b.tokens++; b.tokens >= f.most {
		delete(f.of, ip)
		return
	}
	f.of[ip] = b
}

// sampled is how many networks are looked at when one has to go. Go's maps begin to
// range at a random place.
const sampled = 16

// makeRoom forgets those of some networks that have no failure left, at least the one that
// has the fewest. It looks at a few, however many there are: whoever comes from many
// networks would have each of his logins walk through all of them under the lock.
func (f *failures) makeRoom(now time.Time) {
	if len(f.of) < maxNetworks {
		return
	}
	var fullest netip.Addr
	most, looked := -1.0, 0
	for ip, b := range f.of {
		tokens := f.refilled(b, now).tokens
		if tokens > most {
			fullest, most = ip, tokens
		}
		if tokens >= f.most {
			delete(f.of, ip)
		}
		if looked++; looked == sampled {
			break
		}
	}
	delete(f.of, fullest)
}
