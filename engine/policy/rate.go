package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Rate is so many in a time: at once, or one by one. The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// ParseRate reads "30/1m"; "" is no limit.
func ParseRate(s string) (r Rate, err error) {
	if s == "" {
		return r, nil
	}
	count, per, ok := strings.Cut(s, "/")
	if r.Count, err = strconv.Atoi(count); err != nil || !ok || r.Count < 1 {
		return Rate{}, fmt.Errorf("%q: expected COUNT/TIME, such as 30/1m", s)
	}
	if r.Per, err = time.ParseDuration(per); err != nil || r.Per < time.Second || r.Per > 24*time.Hour {
		return Rate{}, fmt.Errorf("%q: expected a duration from 1s to 24h after the slash, such as 1m", s)
	}
	return r, nil
}

// String is the rate as ParseRate reads it.
func (r Rate) String() string {
	if r.Count == 0 {
		return ""
	}
	return strconv.Itoa(r.Count) + "/" + r.Per.String()
}

// Client is what counts as one client: an IPv4 address, an IPv6 /64, in which a host
// has as many addresses as it likes.
func Client(ip netip.Addr) netip.Prefix { return prefix(ip, 32, 64) }

// Network is the neighbourhood of a client: an IPv4 /24, an IPv6 /48.
func Network(ip netip.Addr) netip.Prefix { return prefix(ip, 24, 48) }

func prefix(ip netip.Addr, four, six int) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := six
	if ip.Is4() {
		bits = four
	}
	p, _ := ip.Prefix(bits) // fails for the zero Addr only, and is zero then
	return p
}

// Rates is a token bucket for each of many clients or networks, all of the same
// size. A bucket is one number, the time at which it will be full again (the generic
// cell rate algorithm): a full one needs no memory at all.
type Rates struct {
	rate   Rate
	max    int
	fullAt map[netip.Prefix]time.Time
}

// NewRates makes buckets of rate, of which at most max are remembered.
func NewRates(rate Rate, max int) *Rates {
	return &Rates{rate: rate, max: max, fullAt: make(map[netip.Prefix]time.Time)}
}

// Take takes a token out of the bucket of who, if there is one.
func (r *Rates) Take(who netip.Prefix, now time.Time) bool {
	if r.rate.Count == 0 {
		return true
	}
	full := r.fullAt[who]
	if full.Before(now) {
		full = now
	}
	full = full.Add(r.rate.Per / time.Duration(r.rate.Count))
	if full.Sub(now) > r.rate.Per {
		return false
	}
	if _, known := r.fullAt[who]; !known && len(r.fullAt) >= r.max {
		r.makeRoom(now)
	}
	r.fullAt[who] = full
	return true
}

// Has reports whether there is a token in the bucket of who, and leaves it there.
func (r *Rates) Has(who netip.Prefix, now time.Time) bool {
	return r.rate.Count == 0 || r.fullAt[who].Sub(now) <= r.rate.Per-r.rate.Per/time.Duration(r.rate.Count)
}

// Owe takes n tokens that were used already, though the bucket may have fewer. The debt is
// never more than one bucket.
func (r *Rates) Owe(who netip.Prefix, n int, now time.Time) {
	if r.rate.Count == 0 || n <= 0 {
		return
	}
	full, known := r.fullAt[who]
	if full.Before(now) {
		full = now
	}
	n = min(n, 2*r.rate.Count)
	full = full.Add(time.Duration(n) * (r.rate.Per / time.Duration(r.rate.Count)))
	if most := now.Add(2 * r.rate.Per); full.After(most) {
		full = most
	}
	if !known && len(r.fullAt) >= r.max {
		r.makeRoom(now)
	}
	r.fullAt[who] = full
}

// Rate is what each bucket holds.
func (r *Rates) Rate() Rate { return r.rate }

// sample is how many buckets are looked at when one has to go. Go's maps begin to
// range at a random place.
const sample = 16

// makeRoom forgets the full ones of some buckets, at least the one that is full first.
func (r *Rates) makeRoom(now time.Time) {
	var first netip.Prefix
	var at time.Time
	looked := 0
	for who, full := range r.fullAt {
		if looked == 0 || full.Before(at) {
			first, at = who, full
		}
		if !full.After(now) {
			delete(r.fullAt, who)
		}
		if looked++; looked == sample {
			break
		}
	}
	delete(r.fullAt, first)
}
