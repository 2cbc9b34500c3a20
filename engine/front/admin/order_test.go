package admin

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"postrider/storage"
)

// slowStore gives ids after a while, and confirms what was delivered only when all is.
type slowStore struct {
	storage.Store
	all int

	mu      sync.Mutex
	last    storage.MessageID
	waiting []*storage.Delivery
}

type slowDraft struct {
	fakeDraft
	id storage.MessageID
}

func (d *slowDraft) ID() storage.MessageID { return d.id }

func (s *slowStore) NewDraft(int64) storage.Draft {
	time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return &slowDraft{fakeDraft{f: &fake{}}, s.last}
}

func (s *slowStore) Deliver(d *storage.Delivery) {
	time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, d)
	if len(s.waiting) < s.all {
		return
	}
	for _, d := range s.waiting {
		d.Done(d, storage.NewReceipt(d.Draft.ID()), nil)
	}
}

// Drafts of one client get their ids, and reach the store, in the order of the calls,
// while the syncs of earlier drafts are still awaited.
func TestDeliveriesKeepTheirOrder(t *testing.T) {
	const n = 60
	s := &slowStore{all: n}
	c := connect(t, s)
	receipts := make(chan storage.Receipt, n)
	for i := range n {
		d := c.NewDraft(0)
		if d.ID() != storage.MessageID(i+1) {
			t.Fatalf("draft %d has the id %d", i+1, d.ID())
		}
		body := fmt.Appendf(nil, "%d\r\n", i+1)
		d.Append(body)
		c.Deliver(&storage.Delivery{Draft: d, Size: int64(len(body)), Recipients: []storage.Recipient{{Account: 7}},
			Done: func(_ *storage.Delivery, r storage.Receipt, err error) {
				if err != nil {
					t.Error(err)
				}
				receipts <- r
			}})
	}
	for range n {
		<-receipts
	}
	for i, d := range s.waiting {
		if d.Draft.ID() != storage.MessageID(i+1) {
			t.Errorf("the store has message %d at place %d", d.Draft.ID(), i+1)
		}
	}
}
