package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postrider/storage"
)

// fake is a store with one maildrop of prepared messages, which keeps what is
// delivered. The directory's methods are tested with the commands.
type fake struct {
	storage.Store
	mails  []mail
	end    error // error of the view
	refuse error // error of a delivery

	mu        sync.Mutex
	delivered []mail
	discarded int
}

type mail struct {
	entry storage.Entry
	body  []byte
	open  error // Open fails
	read  error // Next fails after the body
}

func (f *fake) AddDomain(d string) error {
	for _, kind := range kinds {
		if d == kind.Error() {
			return fmt.Errorf("%w: with words", kind)
		}
	}
	return errors.New("of no kind")
}

func (f *fake) View(id storage.AccountID) (storage.View, error) {
	if id != 7 {
		return nil, storage.ErrNotFound
	}
	return &fakeView{f: f, at: -1}, nil
}

type fakeView struct {
	f  *fake
	at int
}

func (v *fakeView) Next() bool { v.at++; return v.at < len(v.f.mails) }
func (v *fakeView) Err() error { return v.f.end }
func (v *fakeView) Close()     {}
func (v *fakeView) Open() (storage.Message, error) {
	m := v.f.mails[v.at]
	return &fakeMessage{m, m.body}, m.open
}

type fakeMessage struct {
	mail
	rest []byte
}

func (m *fakeMessage) Entry() storage.Entry { return m.entry }
func (m *fakeMessage) Close()               {}
func (m *fakeMessage) Next() ([]byte, error) {
	if len(m.rest) == 0 {
		if m.read != nil {
			return nil, m.read
		}
		return nil, io.EOF
	}
	piece := m.rest[:min(len(m.rest), storage.MaxPiece)]
	m.rest = m.rest[len(piece):]
	return piece, nil
}

func (f *fake) NewDraft(int64) storage.Draft { return &fakeDraft{f: f} }

func (f *fake) Deliver(d *storage.Delivery) {
	f.mu.Lock()
	f.delivered = append(f.delivered, mail{
		entry: storage.Entry{Arrival: d.Arrival, Size: d.Size, Trace: d.Recipients[0].Trace},
		body:  d.Draft.(*fakeDraft).body,
	})
	f.mu.Unlock()
	if f.refuse != nil {
		d.Done(d, storage.Receipt{}, f.refuse)
		return
	}
	d.Done(d, storage.NewReceipt(42), nil)
}

type fakeDraft struct {
	f       *fake
	body    []byte
	backlog int64
}

func (d *fakeDraft) ID() storage.MessageID { return 42 }
func (d *fakeDraft) Append(run []byte) {
	d.body = append(d.body, run...)
	d.backlog += int64(len(run))
}
func (d *fakeDraft) Backlog() int64 { return d.backlog }
func (d *fakeDraft) Notify(_ int64, f func()) {
	d.backlog = 0
	go f()
}
func (d *fakeDraft) Discard() {
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	d.f.discarded++
}

// serveAt is Serve at a path, until stop is called.
func serveAt(path string, store storage.Store, relay Relay, inside Inside, log *slog.Logger, status func() Status, more ...Route) (stop func(), err error) {
	l, err := Listen(path)
	if err != nil {
		return nil, err
	}
	end := Serve(context.Background(), l, store, relay, inside, log, status, more...)
	return func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		end(over)
		_ = os.Remove(path)
	}, nil
}

func connect(t *testing.T, f storage.Store) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	stop, err := serveAt(path, f, nil, nil, quiet, func() Status { return Status{Version: "1", Health: "ok"} })
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

func TestErrorsKeepTheirIdentity(t *testing.T) {
	c := connect(t, &fake{})
	for _, kind := range kinds {
		err := c.AddDomain(kind.Error())
		if !errors.Is(err, kind) || err.Error() != kind.Error()+": with words" {
			t.Errorf("%v: %v", kind, err)
		}
		for _, other := range kinds {
			if other != kind && errors.Is(err, other) {
				t.Errorf("%v is %v", err, other)
			}
		}
	}
	if err := c.AddDomain("x"); err == nil || err.Error() != "of no kind" || errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
	if s, err := c.Status(context.Background()); err != nil || s.Health != "ok" || s.Version != "1" {
		t.Error(s, err)
	}
}

func TestViewThroughTheSocket(t *testing.T) {
	arrival := time.UnixMilli(1_800_000_000_123)
	long := bytes.Repeat([]byte("0123456789abcdef\r\n"), 20000)
	f := &fake{end: storage.ErrCorrupt, mails: []mail{
		{entry: storage.Entry{ID: 1, Arrival: arrival, Trace: []byte("X: y\r\n"), Wire: 5, Size: 4}, body: []byte("..a\r\n")},
		{open: storage.ErrCorrupt},
		{entry: storage.Entry{ID: 3}, body: long},
		{entry: storage.Entry{ID: 4}, body: []byte("part"), read: storage.ErrCorrupt},
		{entry: storage.Entry{ID: 5}},
	}}
	c := connect(t, f)
	for _, readAll := range []bool{true, false} {
		v, err := c.View(7)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; v.Next(); n++ {
			want := f.mails[n]
			m, err := v.Open()
			if want.open != nil {
				if !errors.Is(err, want.open) {
					t.Errorf("message %d: %v", n, err)
				}
				continue
			}
			e := m.Entry()
			if err != nil || e.ID != want.entry.ID || e.Octets() != want.entry.Octets() || !bytes.Equal(e.Trace, want.entry.Trace) {
				t.Errorf("message %d: %v %+v", n, err, e)
			}
			if n == 0 && !e.Arrival.Equal(arrival) {
				t.Error(e.Arrival)
			}
			if !readAll {
				continue
			}
			var body []byte
			piece, err := m.Next()
			for ; err == nil; piece, err = m.Next() {
				body = append(body, piece...)
			}
			if want.read == nil && err != io.EOF || want.read != nil && !errors.Is(err, want.read) || !bytes.Equal(body, want.body) {
				t.Errorf("message %d: %d octets, %v", n, len(body), err)
			}
			m.Close()
		}
		if n != len(f.mails) || !errors.Is(v.Err(), storage.ErrCorrupt) {
			t.Errorf("%d messages, %v", n, v.Err())
		}
		v.Close()
	}
	if _, err := c.View(8); !errors.Is(err, storage.ErrNotFound) {
		t.Error(err)
	}
}

func deliver(c *Client, body []byte) (storage.Receipt, error) {
	d := c.NewDraft(0)
	d.Append(body)
	type outcome struct {
		r   storage.Receipt
		err error
	}
	done := make(chan outcome, 1)
	c.Deliver(&storage.Delivery{
		Draft: d, Arrival: time.UnixMilli(5), Size: int64(len(body)),
		Recipients: []storage.Recipient{{Account: 7, Trace: []byte("X: y\r\n")}},
		Done:       func(_ *storage.Delivery, r storage.Receipt, err error) { done <- outcome{r, err} },
	})
	o := <-done
	return o.r, o.err
}

func TestDeliverThroughTheSocket(t *testing.T) {
	f := &fake{}
	c := connect(t, f)
	body := bytes.Repeat([]byte("0123456789abcdef\r\n"), 200000) // more than the backlog allowed
	if r, err := deliver(c, body); err != nil || r.ID() != 42 {
		t.Fatal(r, err)
	}
	got := f.delivered[0]
	if !bytes.Equal(got.body, body) || got.entry.Size != int64(len(body)) || string(got.entry.Trace) != "X: y\r\n" || got.entry.Arrival.UnixMilli() != 5 {
		t.Errorf("%d octets, %+v", len(got.body), got.entry)
	}
	f.refuse = storage.ErrFull
	if r, err := deliver(c, body); !errors.Is(err, storage.ErrFull) || r.ID() != 0 {
		t.Error(r, err)
	}
}

// A draft that is given up is discarded by the server, and nothing of it delivered.
func TestDiscardedDraftsAreNotDelivered(t *testing.T) {
	f := &fake{}
	c := connect(t, f)
	d := c.NewDraft(0).(*remoteDraft)
	d.Append(bytes.Repeat([]byte("x"), 200000))
	d.Discard()
	if err := <-d.answer; err == nil {
		t.Error("a discarded draft was delivered")
	}
	if r, err := deliver(c, []byte("x\r\n")); err != nil || r.ID() != 42 { // the client goes on
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.delivered) != 1 {
		t.Errorf("%d delivered", len(f.delivered))
	}
}

func TestSocketFile(t *testing.T) {
	serve := func(path string) (func(), error) {
		return serveAt(path, &fake{}, nil, nil, quiet, func() Status { return Status{} })
	}
	// A directory too deep for a socket's address.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "admin.sock")
	stop, err := serve(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := serve(path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Error(err)
	}
	if c, err := Dial(context.Background(), path); err != nil {
		t.Error(err)
	} else if _, err := c.Status(context.Background()); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := Dial(context.Background(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}

	// A stale socket is replaced.
	stale := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(context.Background(), stale); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	if stop, err = serve(stale); err != nil {
		t.Fatal(err)
	}
	stop()

	// A file is never touched.
	if err := os.WriteFile(stale, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serve(stale); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Error(err)
	}
	if text, _ := os.ReadFile(stale); string(text) != "precious" {
		t.Errorf("%q", text)
	}
}
