package lsm

import (
	"sync"

	"postrider/storage"
)

// listings keeps listings of maildrops beyond their sessions: a client that leaves
// its mail on the server and polls would have all rows read each time, 300 ns a
// message.
//
// A kept listing is always verified. A session reads the rows after its last message,
// and the maildrop's counter after that: when both together show that nothing else has
// come (ids are given before messages are delivered, so a message can come late and be
// before the last) the listing is whole, else all rows are read. Only the
// holder of the maildrop can take messages away, and drops the listing. Listings
// live in two generations; the older is dropped when the younger is full.
type listings struct {
	mu         sync.Mutex
	young, old map[storage.AccountID]*storage.Listing
	size       int // the size of young
}

const (
	keptListing  = 64      // messages, from which on keeping gains more than it costs
	keptListings = 1 << 20 // messages in a generation, 12 MiB
	listingCosts = 16      // the cost of a listing itself, in messages
	keptMessage  = 12      // octets of a message; unique-ids that came with them count as more
)

// get returns what is kept for the account, or nil.
func (k *listings) get(account storage.AccountID) *storage.Listing {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.young[account]; l != nil {
		return l
	}
	l := k.old[account]
	if l != nil {
		k.add(account, l)
	}
	return l
}

// put keeps l, which must not change any more, if it is whole and worth it.
func (k *listings) put(account storage.AccountID, l *storage.Listing) {
	if l.More || l.Len() < keptListing || costOf(l) > keptListings+listingCosts {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.add(account, l)
}

// costOf is what a listing counts in its generation, in messages.
func costOf(l *storage.Listing) int { return int(l.Memory()/keptMessage) + listingCosts }

// add puts l into the young generation. k.mu is held.
func (k *listings) add(account storage.AccountID, l *storage.Listing) {
	k.remove(account)
	n := costOf(l)
	if k.young == nil || k.size+n > keptListings+listingCosts {
		k.old, k.young, k.size = k.young, make(map[storage.AccountID]*storage.Listing), 0
	}
	k.young[account] = l
	k.size += n
}

// drop forgets what is kept for the account.
func (k *listings) drop(account storage.AccountID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(account)
}

// remove is drop with k.mu held.
func (k *listings) remove(account storage.AccountID) {
	if l := k.young[account]; l != nil {
		k.size -= costOf(l)
		delete(k.young, account)
	}
	delete(k.old, account)
}
