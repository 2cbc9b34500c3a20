package login

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"postrider/engine/edge/limit"
	"postrider/storage"
)

// guesses counts wrong passwords by the name that they were for, whether there is such an
// account or not: a client that comes from many networks has few wrong passwords in each.
// From auth.failures_per_account on, a login for that name waits before its password is
// looked at, for longer with each wrong one, and at most for auth.account_delay. No user is
// locked out: each login is looked at in the end. The wait comes first, so that a client
// that leaves early has learned nothing.
//
// A network has one login for a name that waits; more of them are refused. So the number of
// networks bounds how many passwords are tried in auth.account_delay. From a network where
// the name has logged in before, nothing waits: an owner does not notice the guesses of
// others. The network's own failures count all the same. With another password no network is
// known any more: one of them may be that of a thief.
//
// What is under way counts as wrong, as in failures. All that is kept is in memory and
// bounded: of maxNames names and maxPlaces places one goes by sample when there are more.
type guesses struct {
	seed maphash.Seed

	mu      sync.Mutex
	free    float64                       // wrong passwords that cost nothing; 0: none ever waits
	most    time.Duration                 // the longest wait
	of      *limit.Buckets[uint64]        // wrong passwords by the hash of the name; free are forgotten in a window
	places  *limit.Map[uint64, time.Time] // by guess.place: when a login was right there
	waiting map[uint64]struct{}           // by guess.place: a login of an open session waits
}

const (
	maxNames  = 1 << 16
	maxPlaces = 1 << 16
	// placeTime is how long a network is known where an account has logged in.
	placeTime = 30 * 24 * time.Hour
	// waitSteps is how many wrong passwords more make the wait as long as it gets.
	waitSteps = 20
)

func newGuesses(free int, most, window time.Duration) *guesses {
	return &guesses{
		free: float64(free), most: most, seed: maphash.MakeSeed(),
		of:      limit.NewBuckets[uint64](limit.Rate{Count: free, Per: window}, maxNames),
		places:  limit.NewMap[uint64](maxPlaces, time.Time.Before, placeIsOver),
		waiting: make(map[uint64]struct{}),
	}
}

// configure replaces the limits. One call at a time.
func (g *guesses) configure(free int, most, window time.Duration, now time.Time) {
	g.mu.Lock()
	g.free, g.most = float64(free), most
	g.mu.Unlock()
	g.of.Configure(limit.Rate{Count: free, Per: window}, maxNames, float64(free)+waitSteps, now, &g.mu)
}

func placeIsOver(at, now time.Time) bool { return now.Sub(at) >= placeTime }

// guess is a login that was admitted, until it is settled.
type guess struct {
	ip          netip.Addr
	name, place uint64 // hashes: of the name, and of the name, its credentials and the network
	open        bool   // it counts as wrong
	counted     float64
	waits       bool // before its password is looked at
}

// guess is that of a name, folded, at an address. account is that of the name, or zero.
func (g *guesses) guess(name string, account *storage.Account, ip netip.Addr) guess {
	var h maphash.Hash
	h.SetSeed(g.seed)
	h.WriteString(name)
	a := guess{ip: ip, name: h.Sum64()}
	h.WriteByte(0)
	h.WriteString(storage.PasswordOf(account.Hash))
	h.WriteString(account.Secret)
	h.WriteByte(0)
	network := limit.Customer(ip).Addr().As16()
	h.Write(network[:])
	a.place = h.Sum64()
	return a
}

// wait is how long a login waits after that many wrong passwords.
func (g *guesses) wait(count float64) time.Duration {
	over := min(count-g.free+1, waitSteps)
	if over <= 0 {
		return 0
	}
	return time.Duration(float64(g.most) * over / waitSteps)
}

// admit counts a login as wrong until it is settled, and says how long it waits; not ok:
// another one waits from there.
func (g *guesses) admit(a *guess, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.open = true
	if g.free == 0 {
		return 0, true
	}
	count := g.of.Used(a.name, now)
	if !g.isPlace(a, now) {
		wait = g.wait(count)
	}
	if wait > 0 {
		if _, another := g.waiting[a.place]; another {
			a.open = false
			return 0, false
		}
		g.waiting[a.place], a.waits = struct{}{}, true
	}
	a.counted = max(0, min(1, g.free+waitSteps-count))
	g.of.Add(a.name, a.counted, now)
	return wait, true
}

// waited tells that the wait of a login is over.
func (g *guesses) waited(a *guess) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endWait(a)
}

func (g *guesses) endWait(a *guess) {
	if a.waits {
		a.waits = false
		delete(g.waiting, a.place)
	}
}

// knows reports whether the name has logged in from that network before.
func (g *guesses) knows(a *guess, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isPlace(a, now) {
		return false
	}
	g.places.Set(a.place, now, now)
	return true
}

func (g *guesses) isPlace(a *guess, now time.Time) bool {
	at, ok := g.places.Get(a.place)
	return ok && !placeIsOver(at, now)
}

// settle ends a login that was admitted. wrong: its password was; right: it was not. Else
// it was not looked at.
func (g *guesses) settle(a *guess, right, wrong bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endWait(a)
	if !a.open {
		return
	}
	a.open = false
	if right {
		g.places.Set(a.place, now, now)
	}
	if !wrong {
		g.of.Give(a.name, a.counted, now)
	}
}
