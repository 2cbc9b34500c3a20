package shelltest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"postrider/codec/smtp"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// What the commands print is compared whatever the zone of the machine.
func init() { time.Local = time.UTC }

// Queue is a store with a queue in memory: it implements the contract plainly,
// beside the maildrops of a real store.
type Queue struct {
	storage.Store
	mu      sync.Mutex
	Entries []*storage.QueueEntry // by arrival
	Bodies  map[storage.MessageID][]byte
	records map[storage.MessageID][]storage.Record
	SMTP    []string // where the server listens
}

// Put adds an entry with its body, in wire form.
func (q *Queue) Put(e *storage.QueueEntry, body string) {
	e.Body.Wire = int64(len(body))
	e.Body.Size = int64(len(strings.ReplaceAll(body, "\r\n..", "\r\n.")))
	q.Bodies[e.ID.Message] = []byte(body)
	q.Entries = append(q.Entries, e)
}

func fits(f storage.QueueFilter, e *storage.QueueEntry) bool {
	return (f.Message == 0 || f.Message == e.ID.Message) && (f.Domain == "" || f.Domain == e.Domain) &&
		(f.ReversePath == nil || strings.EqualFold(*f.ReversePath, e.Envelope.ReversePath)) &&
		(f.Status == "" || f.Status == e.Status || strings.HasPrefix(e.Status, f.Status+".")) &&
		(f.ArrivedBefore.IsZero() || e.Arrival.Before(f.ArrivedBefore)) &&
		(f.ArrivedAfter.IsZero() || e.Arrival.After(f.ArrivedAfter)) &&
		(f.Held == nil || *f.Held == e.Held) && !(f.Unwarned && e.Warned)
}

// Queued implements storage.Queue.
func (q *Queue) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	q.mu.Lock()
	var found []storage.QueueEntry
	for _, e := range q.Entries {
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

// QueuedEntry implements storage.Queue.
func (q *Queue) QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.Entries {
		if e.ID == id {
			one := *e
			return &one, nil
		}
	}
	return nil, storage.ErrNotFound
}

// MoveQueued implements storage.Queue.
func (q *Queue) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		i := slices.IndexFunc(q.Entries, func(e *storage.QueueEntry) bool { return e.ID == id })
		if i < 0 {
			continue
		}
		n++
		e := q.Entries[i]
		switch m {
		case storage.Hold:
			e.Held = true
		case storage.Release, storage.RequeueNow:
			e.Held, e.Due = false, time.Now()
		case storage.DropQueued:
			q.Entries = slices.Delete(q.Entries, i, i+1)
		}
	}
	return n, nil
}

// QueueTotal implements storage.Queue.
func (q *Queue) QueueTotal() (n, octets int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.Entries {
		octets += e.Body.Size
	}
	return int64(len(q.Entries)), octets
}

// History implements storage.Queue.
func (q *Queue) History(id storage.MessageID, f func(storage.Record) bool) error {
	for _, r := range q.records[id] {
		if !f(r) {
			break
		}
	}
	return nil
}

// OpenQueued implements storage.Queue.
func (q *Queue) OpenQueued(e *storage.QueueEntry) (storage.Message, error) {
	body, ok := q.Bodies[e.ID.Message]
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

// memDraft keeps a copy of what is appended to a draft of the real store.
type memDraft struct {
	storage.Draft
	body bytes.Buffer
}

func (d *memDraft) Append(run []byte) {
	d.body.Write(run)
	d.Draft.Append(run)
}

// NewDraft implements storage.Drafts.
func (q *Queue) NewDraft(size int64) storage.Draft {
	return &memDraft{Draft: q.Store.NewDraft(size)}
}

// Deliver gives the maildrops' part to the real store and keeps the rest.
func (q *Queue) Deliver(d *storage.Delivery) {
	draft := d.Draft.(*memDraft)
	q.mu.Lock()
	for i, e := range d.Relayed {
		e.ID = storage.EntryID{Message: draft.ID(), Part: uint32(i)}
		e.Arrival = d.Arrival
		q.Put(e, draft.body.String())
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

// Relay keeps what it was asked to do.
type Relay struct {
	q    *Queue
	mu   sync.Mutex
	said []string
}

// Bounce implements admin.Relay.
func (r *Relay) Bounce(ids []storage.EntryID, reason string) (returned []storage.EntryID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf("bounce %d: %s", len(ids), reason))
	for _, id := range ids {
		n, err := r.q.MoveQueued([]storage.EntryID{id}, storage.DropQueued)
		if err != nil {
			return returned, err
		}
		if n > 0 {
			returned = append(returned, id)
		}
	}
	return returned, nil
}

// Flush implements admin.Relay.
func (r *Relay) Flush(domain string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, "flush "+domain)
}

// RelayStatus implements admin.Relay.
func (r *Relay) RelayStatus() admin.RelayStatus {
	return admin.RelayStatus{Sessions: 3, Awake: 2, Dead: []admin.DeadDestination{
		{Destination: "dead.example", RetryAt: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC), Reason: "no route\x1b[2J"}}}
}

// Takes are the words of the relay since the last call.
func (r *Relay) Takes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := strings.Join(r.said, "; ")
	r.said = nil
	return said
}

// WithQueue is a shell with a running server that has a queue in memory.
func WithQueue(t *testing.T, commands ...func() *cobra.Command) (*Shell, *Queue, *Relay) {
	t.Helper()
	s := New(t, commands...)
	q := &Queue{Bodies: make(map[storage.MessageID][]byte), records: make(map[storage.MessageID][]storage.Record)}
	r := &Relay{q: q}
	s.serve(t, func(store storage.Store) (storage.Store, admin.Relay, func() []string) {
		q.Store = store
		return q, r, func() []string { return q.SMTP }
	})
	return s, q, r
}

// Waiting are the domains of the queue with their recipients.
func (q *Queue) Waiting() (all []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.Entries {
		var rs []string
		for _, r := range e.Recipients {
			rs = append(rs, r.ForwardPath)
		}
		all = append(all, e.Domain+": "+strings.Join(rs, " "))
	}
	return all
}

// Arrival is when the first message of Fill came, Never a time that no test sees.
var (
	Arrival = time.Date(2020, 11, 23, 12, 0, 5, 0, time.UTC)
	Never   = time.Date(2199, 1, 2, 3, 4, 5, 0, time.UTC)
)

// Fill puts a small queue of every kind into q.
func Fill(q *Queue) {
	big := strings.Repeat("0123456789abcdef\r\n", 200)
	q.Put(&storage.QueueEntry{
		ID: storage.EntryID{Message: 1}, Domain: "x.example", Arrival: Arrival, Due: Never, Attempts: 3,
		Envelope: storage.Envelope{ReversePath: "Alice@a.example", EnvID: "QQ314", Ret: smtp.RetHdrs, Body: smtp.Body8BitMIME, Origin: "client unknown[192.0.2.1] helo=<h> by ESMTP"},
		Recipients: []storage.QueuedRecipient{
			{ForwardPath: "bob@x.example", ORcpt: "rfc822;bob@y.example", Notify: smtp.NotifyFailure | smtp.NotifyDelay},
			{ForwardPath: "carol@x.example"},
			{ForwardPath: "dave@x.example", Status: "4.2.2", Reason: "host mx.x.example[192.0.2.2] said: 452 4.2.2 full"}},
		LastAttempt: Arrival.Add(time.Hour), Status: "4.4.1", Reason: "connect to mx.x.example[192.0.2.2]:25: Connection timed out", Peer: "mx.x.example[192.0.2.2]:25",
	}, "Subject: one\r\n\r\n..dot\r\nend\r\n")
	q.Put(&storage.QueueEntry{
		ID: storage.EntryID{Message: 1, Part: 1}, Domain: "y.example", Arrival: Arrival, Due: Never, Attempts: 1, Held: true,
		Envelope:   storage.Envelope{ReversePath: "Alice@a.example"},
		Recipients: []storage.QueuedRecipient{{ForwardPath: "eve@y.example"}},
		Status:     "4.7.1", Reason: "host mx.y.example said: 450 4.7.1 \x1b[31mgreylisted",
	}, "Subject: one\r\n\r\n..dot\r\nend\r\n")
	q.Put(&storage.QueueEntry{
		ID: storage.EntryID{Message: 2}, Domain: "x.example", Arrival: Arrival.Add(5 * 24 * time.Hour), Due: Arrival,
		Recipients: []storage.QueuedRecipient{{ForwardPath: "bob@x.example"}},
	}, big)
	q.Put(&storage.QueueEntry{
		ID: storage.EntryID{Message: 3}, Domain: "z.example", Arrival: Arrival.Add(6 * 24 * time.Hour), Due: Never, Held: true, Attempts: 1,
		Envelope:   storage.Envelope{ReversePath: "alice@a.example"},
		Recipients: []storage.QueuedRecipient{{ForwardPath: "frank@z.example"}}, Status: "4.4.3", Reason: "Host not found, try again",
	}, big)
	q.records[1] = []storage.Record{
		{At: Arrival.Add(time.Second), Text: "x.example: deferred: 4.4.1 connect to mx.x.example[192.0.2.2]:25: Connection timed out"},
		{At: Arrival.Add(time.Hour), Text: "x.example: deferred\n<dave@x.example>: 452 4.2.2 full\n"},
	}
	q.records[9] = []storage.Record{{At: Arrival, Text: "w.example: sent: mx.w.example[192.0.2.9]:25: 250 ok"}}
}

// Same compares what a command has written, whole.
func Same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}
