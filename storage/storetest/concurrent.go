package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"postrider/storage"
)

// tally is what was acknowledged to the goroutines of manyAtOnce.
type tally struct {
	mu     sync.Mutex
	stored map[place]int // octets
	gone   map[place]bool
}

// place is a message in a maildrop.
type place struct {
	account storage.AccountID
	id      storage.MessageID
}

// manyAtOnce delivers, lists, reads and expunges from 50 goroutines.
func manyAtOnce(t *testing.T, s storage.Store) {
	const accounts, goroutines, rounds = 10, 50, 20
	ids := make([]storage.AccountID, accounts)
	for i := range ids {
		ids[i] = Account(t, s, fmt.Sprintf("user%d", i))
	}
	sum := tally{stored: make(map[place]int), gone: make(map[place]bool)}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range rounds {
				if r.IntN(3) > 0 {
					sum.deliver(t, s, r, ids)
				} else {
					sum.expunge(t, s, r, ids[r.IntN(accounts)])
				}
			}
		})
	}
	wg.Wait()
	for p := range sum.gone {
		delete(sum.stored, p)
	}
	for _, a := range ids {
		for id, body := range Contents(t, s, a) {
			if n, ok := sum.stored[place{a, id}]; !ok || n != len(body) {
				t.Errorf("message %s of account %d has %d octets, want %d", id, a, len(body), n)
			}
			delete(sum.stored, place{a, id})
		}
	}
	for p := range sum.stored {
		t.Errorf("message %s of account %d is lost", p.id, p.account)
	}
}

func (sum *tally) deliver(t *testing.T, s storage.Store, r *rand.Rand, ids []storage.AccountID) {
	to := slices.Clone(ids)
	r.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
	to = to[:1+r.IntN(3)]
	body := Body(r.IntN(200_000), "many")
	id, err := Deliver(s, body, to...)
	if err != nil {
		t.Error(err)
		return
	}
	sum.mu.Lock()
	defer sum.mu.Unlock()
	for _, a := range to {
		sum.stored[place{a, id}] = len(body)
	}
}

func (sum *tally) expunge(t *testing.T, s storage.Store, r *rand.Rand, a storage.AccountID) {
	l, err := s.LockMaildrop(a)
	if errors.Is(err, storage.ErrInUse) {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer l.Release()
	list, err := l.List(5)
	if err != nil {
		t.Error(err)
		return
	}
	var ids []storage.MessageID
	for i := range list.Len() {
		id, _ := list.At(i)
		m, err := l.Open(id)
		if err == nil {
			_, err = ReadAll(m)
		}
		if err != nil {
			t.Errorf("message %s: %v", id, err)
		}
		if r.IntN(2) == 0 {
			ids = append(ids, id)
		}
	}
	if err := l.Expunge(ids); err != nil {
		t.Error(err)
	}
	sum.mu.Lock()
	defer sum.mu.Unlock()
	for _, id := range ids {
		sum.gone[place{a, id}] = true
	}
}
