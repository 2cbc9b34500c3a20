package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"postrider/codec/smtp"
	"postrider/storage"
)

// queueFake is a store with a queue of prepared entries, which keeps what it was
// asked to do.
type queueFake struct {
	fake
	entries []*storage.QueueEntry
	records []storage.Record
	end     error // error of the listings
	open    error // error of a body
	body    mail
	asked   []any
}

func (f *queueFake) Queued(filter storage.QueueFilter, each func(*storage.QueueEntry) bool) error {
	f.asked = append(f.asked, filter)
	for _, e := range f.entries {
		if !each(e) {
			return nil
		}
	}
	return f.end
}

func (f *queueFake) QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error) {
	for _, e := range f.entries {
		if e.ID == id {
			return e, nil
		}
	}
	return nil, storage.ErrNotFound
}

func (f *queueFake) MoveQueued(ids []storage.EntryID, m storage.QueueMove) (int, error) {
	f.asked = append(f.asked, moveArg{ids, m})
	return len(ids), nil
}

func (f *queueFake) QueueTotal() (int64, int64) { return 1 << 40, 1 << 50 }

func (f *queueFake) History(id storage.MessageID, each func(storage.Record) bool) error {
	f.asked = append(f.asked, id)
	for _, r := range f.records {
		if !each(r) {
			return nil
		}
	}
	return f.end
}

func (f *queueFake) OpenQueued(e *storage.QueueEntry) (storage.Message, error) {
	f.asked = append(f.asked, e.ID)
	if f.open != nil {
		return nil, f.open
	}
	return &fakeMessage{f.body, f.body.body}, nil
}

func (f *queueFake) last() any { return f.asked[len(f.asked)-1] }

// relayFake keeps what it was asked to do.
type relayFake struct {
	bounced []storage.EntryID
	said    []string
}

func (r *relayFake) Bounce(ids []storage.EntryID, reason string) ([]storage.EntryID, error) {
	if reason == "" {
		return nil, storage.ErrInvalid
	}
	r.bounced = append(r.bounced, ids...)
	r.said = append(r.said, "bounce "+reason)
	return ids, nil
}
func (r *relayFake) Flush(domain string) { r.said = append(r.said, "flush "+domain) }
func (r *relayFake) RelayStatus() RelayStatus {
	return RelayStatus{Sessions: 3, Awake: 2, Dead: []DeadDestination{{"x.example", time.UnixMilli(7).UTC(), "no route"}}}
}

func connectQueue(t *testing.T, f storage.Store, relay Relay) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	stop, err := serveAt(path, f, relay, nil, quiet, func() Status { return Status{} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// entryOf is an entry with something in every field.
func entryOf(id storage.MessageID, part uint32) *storage.QueueEntry {
	at := time.UnixMicro(1_800_000_000_123_456).UTC()
	return &storage.QueueEntry{
		ID: storage.EntryID{Message: id, Part: part}, Domain: "x.example",
		Envelope: storage.Envelope{ReversePath: "a@b.example", EnvID: "QQ", Ret: smtp.RetHdrs,
			Body: smtp.Body8BitMIME, SMTPUTF8: true, Origin: "client unknown[192.0.2.1]"},
		Recipients: []storage.QueuedRecipient{{ForwardPath: "ü@x.example", ORcpt: "rfc822;q", Notify: smtp.NotifyDelay | smtp.NotifyFailure, Status: "4.2.2", Reason: "full"}},
		Arrival:    at, Body: storage.BodyRef{Wire: 1 << 40, Size: 9, CRC: 1, Chunks: 2, Flags: 3},
		Due: at.Add(time.Minute), Held: true, Warned: true, Attempts: 4, LastAttempt: at.Add(time.Second),
		Status: "4.4.1", Reason: "<refused>", Peer: "mx.x.example[192.0.2.2]:25",
	}
}

func TestQueueThroughTheSocket(t *testing.T) {
	sender, held := "a@b.example", true
	f := &queueFake{
		entries: []*storage.QueueEntry{entryOf(1, 0), entryOf(1<<63+1, 1<<32-1)},
		records: []storage.Record{{At: time.UnixMilli(5).UTC(), Text: "one\ntwo"}, {At: time.UnixMilli(6).UTC(), Text: "three"}},
	}
	c := connectQueue(t, f, nil)

	filter := storage.QueueFilter{Message: 1<<64 - 1, Domain: "d", ReversePath: &sender, Status: "4.4",
		ArrivedBefore: time.UnixMilli(9).UTC(), Held: &held, Unwarned: true}
	var got []*storage.QueueEntry
	if err := c.Queued(filter, func(e *storage.QueueEntry) bool { got = append(got, e); return true }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f.entries) {
		t.Errorf("got %+v\nwant %+v", got, f.entries)
	}
	if !reflect.DeepEqual(f.last(), filter) {
		t.Errorf("got %+v\nwant %+v", f.last(), filter)
	}
	e, err := c.QueuedEntry(f.entries[1].ID)
	if err != nil || !reflect.DeepEqual(e, f.entries[1]) {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := c.QueuedEntry(storage.EntryID{Message: 9}); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
	ids := []storage.EntryID{{Message: 1, Part: 2}, {Message: 3}}
	if n, err := c.MoveQueued(ids, storage.Hold); n != 2 || err != nil || !reflect.DeepEqual(f.last(), moveArg{ids, storage.Hold}) {
		t.Error(n, err, f.last())
	}
	if n, octets := c.QueueTotal(); n != 1<<40 || octets != 1<<50 {
		t.Error(n, octets)
	}
	var records []storage.Record
	if err := c.History(77, func(r storage.Record) bool { records = append(records, r); return true }); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(records, f.records) || f.last() != storage.MessageID(77) {
		t.Error(records, f.last())
	}
}

// A listing reports at its end that it is not whole, and may be left at any item.
func TestQueueListingsEnd(t *testing.T) {
	f := &queueFake{end: storage.ErrCorrupt, records: make([]storage.Record, 3)}
	for i := range 5_000 {
		f.entries = append(f.entries, entryOf(storage.MessageID(i+1), 0))
	}
	c := connectQueue(t, f, nil)
	n := 0
	err := c.Queued(storage.QueueFilter{}, func(*storage.QueueEntry) bool { n++; return n < 3 })
	if n != 3 || err != nil {
		t.Error(n, err)
	}
	n = 0
	err = c.Queued(storage.QueueFilter{}, func(*storage.QueueEntry) bool { n++; return true })
	if n != len(f.entries) || !errors.Is(err, storage.ErrCorrupt) {
		t.Error(n, err)
	}
	n = 0
	err = c.History(1, func(storage.Record) bool { n++; return true })
	if n != 3 || !errors.Is(err, storage.ErrCorrupt) {
		t.Error(n, err)
	}
}

func TestQueuedBodiesThroughTheSocket(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef\r\n"), 20000)
	f := &queueFake{
		entries: []*storage.QueueEntry{entryOf(1, 0)},
		body:    mail{entry: storage.Entry{ID: 1, Wire: int64(len(long)), Size: 5}, body: long},
	}
	c := connectQueue(t, f, nil)
	for _, fault := range []error{nil, storage.ErrCorrupt} {
		f.body.read = fault
		m, err := c.OpenQueued(f.entries[0])
		if err != nil {
			t.Fatal(err)
		}
		var body []byte
		piece, err := m.Next()
		for ; err == nil; piece, err = m.Next() {
			body = append(body, piece...)
		}
		if fault == nil && err != io.EOF || fault != nil && !errors.Is(err, fault) || !bytes.Equal(body, long) {
			t.Errorf("%d octets, %v", len(body), err)
		}
		if e := m.Entry(); e.ID != 1 || e.Size != 5 {
			t.Errorf("%+v", e)
		}
		m.Close()
	}
	if _, err := c.OpenQueued(entryOf(2, 0)); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
	f.open = storage.ErrFailed
	if _, err := c.OpenQueued(f.entries[0]); !errors.Is(err, storage.ErrFailed) {
		t.Error(err)
	}
}

func TestRelayThroughTheSocket(t *testing.T) {
	r := new(relayFake)
	c := connectQueue(t, &queueFake{}, r)
	ids := []storage.EntryID{{Message: 1, Part: 2}, {Message: 3}}
	if n, err := c.Bounce(ids, "it's over"); n != 2 || err != nil || !reflect.DeepEqual(r.bounced, ids) {
		t.Error(n, err, r.bounced)
	}
	if _, err := c.Bounce(ids, ""); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
	if err := c.Flush("x.example"); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(r.said); got != "[bounce it's over flush x.example]" {
		t.Error(got)
	}
	if s, err := c.RelayStatus(); err != nil || !reflect.DeepEqual(s, r.RelayStatus()) {
		t.Error(s, err)
	}

	c = connectQueue(t, &queueFake{}, nil)
	_, err := c.Bounce(ids, "x")
	_, err2 := c.RelayStatus()
	for _, err := range []error{err, err2, c.Flush("")} {
		if err == nil || !strings.Contains(err.Error(), "no relay") {
			t.Error(err)
		}
	}
}

// relayedFake keeps whole deliveries.
type relayedFake struct {
	fake
	got storage.Delivery
}

func (f *relayedFake) Deliver(d *storage.Delivery) {
	f.got = *d
	d.Done(d, storage.NewReceipt(d.Draft.ID()), nil)
}

func TestDeliverToOtherHostsThroughTheSocket(t *testing.T) {
	f := new(relayedFake)
	c := connectQueue(t, f, nil)
	deliver := func(settle []storage.Settlement) (id storage.MessageID, err error) {
		d := c.NewDraft(0)
		begun := d.ID()
		d.Append([]byte("x\r\n"))
		done := make(chan error, 1)
		c.Deliver(&storage.Delivery{
			Draft: d, Arrival: time.UnixMilli(5), Size: 3, Settle: settle, Relayed: []*storage.QueueEntry{entryOf(0, 0), entryOf(0, 1)},
			Done: func(_ *storage.Delivery, r storage.Receipt, err error) {
				if err == nil && r.ID() != begun {
					t.Errorf("stored as %v, begun as %v", r.ID(), begun)
				}
				done <- err
			},
		})
		return begun, <-done
	}
	if id, err := deliver(nil); err != nil || id != 42 {
		t.Fatal(id, err)
	}
	if !reflect.DeepEqual(f.got.Relayed, []*storage.QueueEntry{entryOf(0, 0), entryOf(0, 1)}) {
		t.Errorf("%+v", f.got.Relayed[0])
	}
	if _, err := deliver([]storage.Settlement{{}}); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
}

// Deliveries one after the other use a connection again, and leave nothing of one
// request to the next.
func TestManyDeliveriesThroughTheSocket(t *testing.T) {
	var said bytes.Buffer
	log.SetOutput(&said)
	f := new(fake)
	c := connectQueue(t, f, nil)
	for i := range 300 {
		if i%3 == 0 {
			d := c.NewDraft(0)
			d.Append([]byte("given up\r\n"))
			d.Discard()
		}
		if _, err := deliver(c, bytes.Repeat([]byte("x\r\n"), i*100)); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	log.SetOutput(os.Stderr)
	if len(f.delivered) != 300 || said.Len() > 0 {
		t.Errorf("%d deliveries; net/http said %s", len(f.delivered), said.String())
	}
}
