package login

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"postrider/storage"
)

// credentials remembers which passwords were right, for auth.cache_ttl: a client
// that polls its maildrop every minute would cost a hash each time, and a hash is
// slow on purpose.
//
// What is kept is HMAC-SHA-256 over the account, the password and the stored hash
// that it was verified against, with a key that the process makes at its start and
// no other process has. Nothing of it can be turned back, and a copy of the memory is
// worth a guess at a fast hash only together with that key. Because the stored
// hash is part of it (storage.PasswordOf), an entry ends in the moment in which the password is
// changed: what is looked for from then on is another value. Entries live in two
// generations; the older one is dropped when the younger one is full or as old as
// the time to live, so the size is bounded and nothing is searched for what has
// expired.
type credentials struct {
	key []byte

	mu           sync.Mutex
	ttl          time.Duration        // 0: nothing is remembered
	size         int                  // entries at most, in both generations
	young, old   map[digest]time.Time // when each was verified
	youngerSince time.Time
}

type digest [sha256.Size]byte

func newCredentials(ttl time.Duration, size int) *credentials {
	c := &credentials{ttl: ttl, size: size, key: make([]byte, sha256.Size), young: make(map[digest]time.Time)}
	rand.Read(c.key)
	return c
}

// configure replaces the limits. With no time to live all is forgotten.
func (c *credentials) configure(ttl time.Duration, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ttl, c.size = ttl, size
	if ttl == 0 {
		c.old, c.young = nil, make(map[digest]time.Time)
	}
	if len(c.young) > max(size/2, 1) {
		c.young = make(map[digest]time.Time)
	}
	if len(c.old) > max(size/2, 1) {
		c.old = nil
	}
}

// isOn reports whether passwords are remembered.
func (c *credentials) isOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ttl > 0
}

func (c *credentials) digest(a *storage.Account, password []byte) (d digest) {
	h := hmac.New(sha256.New, c.key)
	var numbers [16]byte
	binary.BigEndian.PutUint64(numbers[:], uint64(a.ID))
	binary.BigEndian.PutUint64(numbers[8:], uint64(len(password)))
	h.Write(numbers[:])
	h.Write(password)
	h.Write([]byte(storage.PasswordOf(a.Hash)))
	h.Sum(d[:0])
	return d
}

// knows reports whether the password was right for the account, as it is now, a
// short time ago.
func (c *credentials) knows(a *storage.Account, password []byte, now time.Time) bool {
	if !c.isOn() {
		return false
	}
	d := c.digest(a, password)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.young[d]
	if !ok {
		at, ok = c.old[d]
	}
	return ok && now.Sub(at) < c.ttl
}

// remember notes that the password is right.
func (c *credentials) remember(a *storage.Account, password []byte, now time.Time) {
	if !c.isOn() {
		return
	}
	d := c.digest(a, password)
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.youngerSince) >= c.ttl || len(c.young) >= max(c.size/2, 1) {
		c.old, c.young, c.youngerSince = c.young, make(map[digest]time.Time), now
	}
	c.young[d] = now
}
