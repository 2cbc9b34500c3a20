package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/engine/admin"
	"postrider/engine/config"
	"postrider/engine/router"
	"postrider/storage"
	"postrider/storage/lsm"
)

// What the commands print is compared whatever the zone of the machine.
func init() { time.Local = time.UTC }

// memQueue is a store whose queue is in memory: a plain reading of the contract,
// beside the maildrops of a real store.
type memQueue struct {
	storage.Store
	mu      sync.Mutex
	entries []*storage.QueueEntry // by arrival
	bodies  map[storage.MessageID][]byte
	records map[storage.MessageID][]storage.Record
	smtp    []string // where the server listens
}

// put adds an entry with its body, in wire form.
func (q *memQueue) put(e *storage.QueueEntry, body string) {
	e.Body.Wire = int64(len(body))
	e.Body.Size = int64(len(strings.ReplaceAll(body, "\r\n..", "\r\n.")))
	q.bodies[e.ID.Message] = []byte(body)
	q.entries = append(q.entries, e)
}

func fits(f storage.QueueFilter, e *storage.QueueEntry) bool {
	return (f.Message == 0 || f.Message == e.ID.Message) && (f.Domain == "" || f.Domain == e.Domain) &&
		(f.ReversePath == nil || strings.EqualFold(*f.ReversePath, e.Envelope.ReversePath)) &&
		(f.Status == "" || f.Status == e.Status || strings.HasPrefix(e.Status, f.Status+".")) &&
		(f.ArrivedBefore.IsZero() || e.Arrival.Before(f.ArrivedBefore)) &&
		(f.ArrivedAfter.IsZero() || e.Arrival.After(f.ArrivedAfter)) &&
		(f.Held == nil || *f.Held == e.Held) && !(f.Unwarned && e.Warned)
}

func (q *memQueue) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	q.mu.Lock()
	var found []storage.QueueEntry
	for _, e := range q.entries {
		if fits(filter, e) {
			found = append(found, *e)
		}
	}
	q.mu.Unlock()
	slices.SortStableFunc(found, func(a, b storage.QueueEntry) int {
		if filter.Status == "" {
			return 0
		}
		return cmp.Compare(a.Status, b.Status)
	})
	for i := range found {
		if !f(&found[i]) {
			break
		}
	}
	return nil
}

func (q *memQueue) QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		if e.ID == id {
			one := *e
			return &one, nil
		}
	}
	return nil, storage.ErrNotFound
}

func (q *memQueue) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		i := slices.IndexFunc(q.entries, func(e *storage.QueueEntry) bool { return e.ID == id })
		if i < 0 {
			continue
		}
		n++
		e := q.entries[i]
		switch m {
		case storage.Hold:
			e.Held = true
		case storage.Release, storage.RequeueNow:
			e.Held, e.Due = false, time.Now()
		case storage.DropQueued:
			q.entries = slices.Delete(q.entries, i, i+1)
		}
	}
	return n, nil
}

func (q *memQueue) QueueTotal() (n, octets int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		octets += e.Body.Size
	}
	return int64(len(q.entries)), octets
}

func (q *memQueue) History(id storage.MessageID, f func(storage.Record) bool) error {
	for _, r := range q.records[id] {
		if !f(r) {
			break
		}
	}
	return nil
}

func (q *memQueue) OpenQueued(e *storage.QueueEntry) (storage.Message, error) {
	body, ok := q.bodies[e.ID.Message]
	if !ok {
		return nil, storage.ErrNotFound
	}
	return &memMessage{storage.Entry{ID: e.ID.Message, Wire: e.Body.Wire, Size: e.Body.Size}, body}, nil
}

// memMessage gives its body in small pieces.
type memMessage struct {
	entry storage.Entry
	rest  []byte
}

func (m *memMessage) Entry() storage.Entry { return m.entry }
func (m *memMessage) Close()               {}
func (m *memMessage) Next() ([]byte, error) {
	if len(m.rest) == 0 {
		return nil, io.EOF
	}
	piece := m.rest[:min(len(m.rest), 7)]
	m.rest = m.rest[len(piece):]
	return piece, nil
}

// memDraft keeps a copy of what goes into a draft of the real store.
type memDraft struct {
	storage.Draft
	body bytes.Buffer
}

func (d *memDraft) Append(run []byte) {
	d.body.Write(run)
	d.Draft.Append(run)
}

func (q *memQueue) NewDraft(size int64) storage.Draft {
	return &memDraft{Draft: q.Store.NewDraft(size)}
}

// Deliver gives the maildrops' part to the real store and keeps the rest.
func (q *memQueue) Deliver(d *storage.Delivery) {
	draft := d.Draft.(*memDraft)
	q.mu.Lock()
	for i, e := range d.Relayed {
		e.ID = storage.EntryID{Message: draft.ID(), Part: uint32(i)}
		e.Arrival = d.Arrival
		q.put(e, draft.body.String())
	}
	q.mu.Unlock()
	if len(d.Recipients) == 0 {
		id := draft.ID()
		draft.Draft.Discard()
		d.Done(d, storage.NewReceipt(id), nil)
		return
	}
	inner := *d
	inner.Draft, inner.Relayed = draft.Draft, nil
	inner.Done = func(_ *storage.Delivery, r storage.Receipt, err error) { d.Done(d, r, err) }
	q.Store.Deliver(&inner)
}

// memRelay keeps what it was asked to do.
type memRelay struct {
	q    *memQueue
	mu   sync.Mutex
	said []string
}

func (r *memRelay) Bounce(ids []storage.EntryID, reason string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf("bounce %d: %s", len(ids), reason))
	return r.q.MoveQueued(ids, storage.DropQueued)
}

func (r *memRelay) Flush(domain string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, "flush "+domain)
}

func (r *memRelay) RelayStatus() admin.RelayStatus {
	return admin.RelayStatus{Sessions: 3, Awake: 2, Dead: []admin.DeadDestination{
		{Destination: "dead.example", RetryAt: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC), Reason: "no route\x1b[2J"}}}
}

// takes are the words of the relay since the last call.
func (r *memRelay) takes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := strings.Join(r.said, "; ")
	r.said = nil
	return said
}

// withQueue is a shell whose commands find a running server with a queue in memory.
func withQueue(t *testing.T) (*shell, *memQueue, *memRelay) {
	t.Helper()
	s := newShell(t)
	cfg, err := config.Load(s.config)
	if err != nil {
		t.Fatal(err)
	}
	store, err := lsm.Open(lsm.Options{Dir: cfg.Server.Data, BallastSize: -1, CacheSize: 8 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddDomain("a.example"); err != nil {
		t.Fatal(err)
	}
	q := &memQueue{Store: store, bodies: make(map[storage.MessageID][]byte), records: make(map[storage.MessageID][]storage.Record)}
	r := &memRelay{q: q}
	stop, err := admin.Serve(context.Background(), filepath.Join(cfg.Server.Data, "admin.sock"), q, r, func() admin.Status {
		return admin.Status{Version: "test", Health: "ok", SMTP: q.smtp}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, q, r
}

// deskOf is a desk at a queue in memory that no server has open.
func deskOf(q *memQueue) *desk {
	cfg := config.Default()
	return &desk{q, cfg, router.New(q, cfg.RouterSettings())}
}
