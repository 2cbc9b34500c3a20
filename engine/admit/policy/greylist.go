package policy

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"postrider/engine/edge/limit"
)

// Greylist has an unknown sender wait (RFC 6647): a triplet of the client's network,
// the reverse-path and the forward-path is accepted when it comes again after Delay
// and before Window has passed; then it is known as long as it comes again within
// Keep. A network with five triplets that came again is known by itself.
//
// Configure it before the first call of Judge.
type Greylist struct {
	rules GreylistRules

	seen *limit.Map[[16]byte, sighting]
}

// GreylistRules are the times of a Greylist, and how many triplets and networks it remembers.
type GreylistRules struct {
	Delay, Window, Keep time.Duration
	Max                 int
}

// Configure replaces the rules. What was seen stays remembered. It holds lock as
// limit.Map.Change does.
func (g *Greylist) Configure(r GreylistRules, now time.Time, lock sync.Locker) {
	lock.Lock()
	defer lock.Unlock()
	g.rules = r
	if g.seen == nil {
		g.seen = limit.NewMap[[16]byte](r.Max, goesFirst, g.over)
	}
	g.seen.Change(r.Max, nil, now, lock)
}

type sighting struct {
	first, last time.Time
	passes      int // 0: it waits
}

// knownAfter is how many triplets of a network have to come back.
const knownAfter = 5

// Greyed is the verdict on a recipient.
type Greyed uint8

// The outcomes of Greylist.Judge.
const (
	Known    Greyed = iota // seen before
	New                    // for the first time: wait
	TooEarly               // came back too soon: wait
	Passed                 // came back in time
)

// Wait reports whether the recipient has to be refused for now.
func (g Greyed) Wait() bool { return g == New || g == TooEarly }

// Judge decides about a triplet that comes now, and remembers it. The caller folds the
// addresses as far as case does not matter.
func (g *Greylist) Judge(ip netip.Addr, sender, recipient string, now time.Time) Greyed {
	network := limit.Network(ip).String()
	neighbours := key(network)
	if n, ok := g.alive(neighbours, now); ok && n.passes >= knownAfter {
		n.last = now
		g.seen.Set(neighbours, n, now)
		return Known
	}
	triplet := key(network, sender, recipient)
	s, ok := g.alive(triplet, now)
	outcome := Known
	switch {
	case !ok:
		s, outcome = sighting{first: now}, New
	case s.passes == 0 && now.Sub(s.first) < g.rules.Delay:
		outcome = TooEarly
	case s.passes == 0:
		s.passes, outcome = 1, Passed
		g.vouch(neighbours, now)
	}
	s.last = now
	g.seen.Set(triplet, s, now)
	return outcome
}

// vouch counts a triplet that has come back for its network.
func (g *Greylist) vouch(neighbours [16]byte, now time.Time) {
	n, ok := g.alive(neighbours, now)
	if !ok {
		n = sighting{first: now}
	}
	n.passes++
	n.last = now
	g.seen.Set(neighbours, n, now)
}

// alive finds what is remembered and still counts.
func (g *Greylist) alive(k [16]byte, now time.Time) (sighting, bool) {
	s, ok := g.seen.Get(k)
	return s, ok && !g.over(s, now)
}

func (g *Greylist) over(s sighting, now time.Time) bool {
	if s.passes > 0 {
		return now.Sub(s.last) > g.rules.Keep
	}
	return now.Sub(s.first) > g.rules.Window
}

// goesFirst reports whether a is forgotten before b: triplets that wait before triplets that
// passed, and then the one that was not seen for longer.
func goesFirst(a, b sighting) bool {
	if (a.passes == 0) != (b.passes == 0) {
		return a.passes == 0
	}
	return a.last.Before(b.last)
}

// key is a fixed size for what may be long.
func key(words ...string) (k [16]byte) {
	h := sha256.New()
	for _, w := range words {
		h.Write([]byte(w))
		h.Write([]byte{0})
	}
	copy(k[:], h.Sum(nil))
	return k
}
