package login

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postrider/storage"
)

// site is an address of the n-th of many networks.
func site(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}) }

// guessOf is a login for a name whose account has that hash.
func guessOf(g *guesses, name, hash string, ip netip.Addr) guess {
	return g.guess(name, &storage.Account{Hash: hash}, ip)
}

// Guesses at one name from many networks: however many connections each has, few are
// looked at, and the owner waits nowhere where the name has logged in before, and elsewhere
// no longer than the longest wait.
func TestGuessesFromManyNetworks(t *testing.T) {
	const networks, span, most = 27, 45 * time.Second, 20 * time.Second
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuesses(20, most, 10*time.Minute)
	home := guessOf(g, "alice", "hash", site(1000))
	g.admit(&home, now)
	g.settle(&home, true, false, now)
	looked := 0
	for at, end := now, now.Add(span); at.Before(end); at = at.Add(100 * time.Millisecond) {
		for n := range networks {
			for range 3 { // connections
				a := guessOf(g, "alice", "hash", site(n))
				wait, ok := g.admit(&a, at)
				if !ok {
					continue
				}
				looked++
				if wait > most {
					t.Fatalf("a login waits for %v", wait)
				}
				if wait == 0 {
					g.settle(&a, false, true, at)
					continue
				}
				defer func() { g.settle(&a, false, true, at.Add(wait)) }()
			}
		}
	}
	if most := 20 + networks*3; looked > most {
		t.Errorf("%d guesses were looked at, more than %d", looked, most)
	}
	end := now.Add(span)
	if a := guessOf(g, "alice", "hash", site(1000)); !g.knows(&a, end) {
		t.Error("the owner's network is not known")
	} else if wait, ok := g.admit(&a, end); wait != 0 || !ok {
		t.Errorf("the owner waits for %v, %v", wait, ok)
	}
	if a := guessOf(g, "alice", "hash", site(2000)); g.knows(&a, end) {
		t.Error("another network is known")
	} else if wait, ok := g.admit(&a, end); wait == 0 || wait > most || !ok {
		t.Errorf("elsewhere the owner waits for %v, %v", wait, ok)
	}
	if a := guessOf(g, "bob", "hash", site(0)); g.wait(g.of.Used(a.name, end)) != 0 {
		t.Error("another name waits")
	}
	later := end.Add(time.Hour)
	if a := guessOf(g, "alice", "hash", site(3000)); g.wait(g.of.Used(a.name, later)) != 0 {
		t.Error("the wrong passwords are not forgotten")
	}
}

// What was not looked at, and what was right, does not count.
func TestGuessesThatDoNotCount(t *testing.T) {
	now := time.Now()
	g := newGuesses(3, time.Second, time.Hour)
	for n := range 100 {
		a := guessOf(g, "alice", "hash", site(n))
		if wait, ok := g.admit(&a, now); wait != 0 || !ok {
			t.Fatalf("login %d waits for %v, %v", n, wait, ok)
		}
		g.settle(&a, n%2 == 0, false, now)
		g.settle(&a, false, false, now) // again: nothing
	}
	if g.of.Len() != 0 || len(g.waiting) != 0 {
		t.Errorf("%d names, %d wait", g.of.Len(), len(g.waiting))
	}
	for n := range 100 {
		a := guessOf(g, "bob", "hash", site(n))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
	}
	for n := range 100 { // clients that leave while they wait
		a := guessOf(g, "bob", "hash", site(n))
		if wait, ok := g.admit(&a, now); wait != time.Second || !ok {
			t.Fatalf("after %d clients that have left a login waits for %v, %v", n, wait, ok)
		}
		g.settle(&a, false, false, now)
	}
	off := newGuesses(0, time.Second, time.Hour)
	for n := range 100 {
		a := guessOf(off, "alice", "hash", site(n))
		if wait, ok := off.admit(&a, now); wait != 0 || !ok {
			t.Fatalf("login %d waits for %v, %v", n, wait, ok)
		}
		off.settle(&a, false, true, now)
	}
}

// The tables of names and places are bounded, and what matters most stays.
func TestGuessesAreBounded(t *testing.T) {
	now := time.Now()
	g := newGuesses(20, time.Second, time.Hour)
	for range 40 {
		a := guessOf(g, "alice", "hash", site(0))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
	}
	for n := range maxNames + 2000 {
		a := guessOf(g, fmt.Sprint("name", n), "hash", site(n))
		g.admit(&a, now)
		g.settle(&a, false, true, now)
		b := guessOf(g, fmt.Sprint("other", n), "hash", site(n))
		g.admit(&b, now)
		g.settle(&b, true, false, now.Add(time.Duration(n)))
	}
	if g.of.Len() > maxNames || g.places.Len() > maxPlaces || len(g.waiting) > 0 {
		t.Errorf("%d names, %d places, %d wait", g.of.Len(), g.places.Len(), len(g.waiting))
	}
	if a := guessOf(g, "alice", "hash", site(1)); g.wait(g.of.Used(a.name, now)) == 0 {
		t.Error("the name with the most wrong passwords was forgotten")
	}
}

// Wrong passwords count against the new limits, and places stay known. Remembered passwords
// stay as long as the new time allows.
func TestDoor_ConfigureKeepsWhatWasSeen(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGuesses(20, time.Second, 10*time.Minute)
	home := guessOf(g, "alice", "hash", site(1000))
	g.admit(&home, now)
	g.settle(&home, true, false, now)
	for n := range 10 {
		a := guessOf(g, "alice", "hash", site(n))
		if wait, _ := g.admit(&a, now); wait != 0 {
			t.Fatalf("wait of %v", wait)
		}
		g.settle(&a, false, true, now)
	}
	g.configure(5, time.Minute, time.Hour, now)
	if a := guessOf(g, "alice", "hash", site(50)); g.wait(g.of.Used(a.name, now)) == 0 {
		t.Error("ten wrong passwords do not count against a limit of five")
	}
	if a := guessOf(g, "alice", "hash", site(1000)); !g.knows(&a, now) {
		t.Error("the owner's network is forgotten")
	}
	g.configure(50, time.Minute, time.Minute, now)
	if a := guessOf(g, "alice", "hash", site(51)); g.wait(g.of.Used(a.name, now)) != 0 {
		t.Error("ten wrong passwords are too many for a limit of fifty")
	}

	f := newFailures(3, time.Hour)
	for range 3 {
		f.admit(site(1), now)
	}
	f.configure(4, time.Hour, now)
	if !f.admit(site(1), now) || f.admit(site(1), now) {
		t.Error("four wrong passwords of a network are allowed, three were counted")
	}

	c, alice := newCredentials(time.Hour, 100), &storage.Account{ID: 1, Hash: "hash"}
	c.remember(alice, []byte("secret"), now)
	at := now.Add(time.Minute)
	if c.configure(2*time.Minute, 100); !c.knows(alice, []byte("secret"), at) || c.knows(alice, []byte("secret"), at.Add(time.Minute)) {
		t.Error("a remembered password goes by the old time")
	}
	c.configure(0, 100)
	if c.configure(time.Hour, 100); c.knows(alice, []byte("secret"), at) {
		t.Error("it is remembered though none was to be")
	}
}
