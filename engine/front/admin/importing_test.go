package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"postrider/storage"
)

// picky is a store that confirms late, in another order, and keeps some unique-ids only.
type picky struct {
	storage.Store
	mu      sync.Mutex
	last    storage.MessageID
	bodies  [][]byte
	waiting []*storage.Delivery
	dropped int
}

type pickyDraft struct {
	s    *picky
	id   storage.MessageID
	body []byte
}

func (d *pickyDraft) ID() storage.MessageID    { return d.id }
func (d *pickyDraft) Append(run []byte)        { d.body = append(d.body, run...) }
func (d *pickyDraft) Backlog() int64           { return 0 }
func (d *pickyDraft) Notify(_ int64, f func()) { f() }
func (d *pickyDraft) Discard() {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.s.dropped++
}

func (s *picky) NewDraft(int64) storage.Draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return &pickyDraft{s: s, id: s.last}
}

func (s *picky) Deliver(d *storage.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, d.Draft.(*pickyDraft).body)
	s.waiting = append(s.waiting, d)
	if len(s.waiting) < 8 {
		return
	}
	for i := len(s.waiting) - 1; i >= 0; i-- {
		d := s.waiting[i]
		switch r := &d.Recipients[0]; {
		case r.UIDL == "there":
			d.Done(d, storage.Receipt{}, fmt.Errorf("%w: really", storage.ErrExists))
			continue
		case r.UIDL == "taken":
			r.UIDL = ""
		}
		d.Done(d, storage.NewReceipt(d.Draft.ID()), nil)
	}
	s.waiting = s.waiting[:0]
}

// An import sends many messages in one request. They reach the store in order; each outcome
// is its own; a draft that is given up, large or small, is not stored.
func TestAnImportIsOneRequest(t *testing.T) {
	s := new(picky)
	c := connect(t, s)
	im, err := c.Importing(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	const n = 800
	outcomes := make(chan error, n)
	want := make([][]byte, n)
	for i := range n {
		uidl := []string{"", "kept", "taken", "there"}[i%4]
		if i%100 == 7 {
			d := im.NewDraft(0)
			d.Append(bytes.Repeat([]byte("given up"), []int{1, 300_000}[i/100%2]))
			d.Discard()
		}
		d := im.NewDraft(0)
		want[i] = bytes.Repeat(fmt.Appendf(nil, "%d\r\n", i), []int{1, 10, 4_000, 3}[i/3%4]*(1+i%3))
		if i == 500 {
			want[i] = bytes.Repeat(want[i], 100)
		}
		d.Append(want[i][:len(want[i])/2])
		d.Append(want[i][len(want[i])/2:])
		im.Deliver(&storage.Delivery{Draft: d, Size: 1, Recipients: []storage.Recipient{{Account: 7, UIDL: uidl}},
			Done: func(d *storage.Delivery, r storage.Receipt, err error) {
				switch got := d.Recipients[0].UIDL; {
				case uidl == "there":
					if errors.Is(err, storage.ErrExists) {
						err = nil
					} else {
						err = fmt.Errorf("message %d: %v", i, err)
					}
				case err == nil && (r.ID() == 0 || got != map[string]string{"kept": "kept"}[uidl]):
					err = fmt.Errorf("message %d has id %d and unique-id %q", i, r.ID(), got)
				}
				outcomes <- err
			}})
	}
	for range n {
		if err := <-outcomes; err != nil {
			t.Error(err)
		}
	}
	im.Close()
	for i, body := range s.bodies {
		if !bytes.Equal(body, want[i]) {
			t.Fatalf("message %d has %d octets, want %d: %.40q", i, len(body), len(want[i]), body)
		}
	}
	if len(s.bodies) != n || s.dropped < 4 {
		t.Errorf("%d messages, %d were given up", len(s.bodies), s.dropped)
	}
}

// late is a store that confirms when it is told to.
type late struct {
	picky
	waiting chan *storage.Delivery
}

func (s *late) Deliver(d *storage.Delivery) { s.waiting <- d }

// A server that goes away ends all that is under way, and what comes later.
func TestAnImportEndsWithItsServer(t *testing.T) {
	s := &late{waiting: make(chan *storage.Delivery, 20)}
	c := connect(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	im, err := c.Importing(ctx)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := make(chan error, 20)
	deliver := func() {
		d := im.NewDraft(0)
		d.Append([]byte("x\r\n"))
		im.Deliver(&storage.Delivery{Draft: d, Size: 1, Recipients: []storage.Recipient{{Account: 7}},
			Done: func(_ *storage.Delivery, _ storage.Receipt, err error) { outcomes <- err }})
	}
	for range 10 {
		deliver()
	}
	first := <-s.waiting
	cancel()
	for range 10 {
		if err := <-outcomes; !errors.Is(err, storage.ErrTemporary) {
			t.Error(err)
		}
	}
	first.Done(first, storage.Receipt{}, nil)
	for range 9 { // or fewer: what was not read when the request ended
		select {
		case d := <-s.waiting:
			d.Done(d, storage.Receipt{}, nil)
		default:
		}
	}
	deliver()
	if err := <-outcomes; !errors.Is(err, storage.ErrTemporary) {
		t.Error(err)
	}
	im.Close()
}

// listed is a store with entries.
type listed struct{ storage.Store }

func (listed) EachEntry(a storage.AccountID, f func(storage.Entry) bool) error {
	if a != 7 {
		return storage.ErrNotFound
	}
	for i := range 3000 {
		if !f(storage.Entry{ID: storage.MessageID(i + 1), UIDL: []byte("abc")[:i%4], Wire: 9, Size: 8}) {
			break
		}
	}
	return nil
}

func TestEntriesComeThrough(t *testing.T) {
	c := connect(t, listed{})
	n := 0
	err := c.EachEntry(7, func(e storage.Entry) bool {
		if e.ID != storage.MessageID(n+1) || string(e.UIDL) != "abc"[:n%4] || e.Size != 8 {
			t.Errorf("entry %d is %+v", n, e)
		}
		n++
		return n < 2000
	})
	if err != nil || n != 2000 {
		t.Errorf("%d entries, %v", n, err)
	}
	if err := c.EachEntry(8, nil); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
}
