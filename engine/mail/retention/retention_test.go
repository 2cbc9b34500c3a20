package retention

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"postrider/storage"
	"postrider/storage/lsm"
	"postrider/storage/storetest"
)

const day = 24 * time.Hour

// place is a store with a clock, and a log.
type place struct {
	storage.Store
	mu   sync.Mutex
	now  time.Time
	text bytes.Buffer
}

func newPlace(t *testing.T) *place {
	p := &place{now: time.UnixMilli(1_800_000_000_000)}
	store, err := lsm.Open(lsm.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), CacheSize: 8 << 20, BallastSize: -1, FreeFloor: -1, Now: func() time.Time {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Store = store
	t.Cleanup(func() {
		storetest.Clean(t, store)
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *place) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// Write takes the log.
func (p *place) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *place) log() *slog.Logger { return slog.New(slog.NewTextHandler(p, nil)) }

// logged waits for texts in the log.
func (p *place) logged(t *testing.T, texts ...string) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		got := p.text.String()
		p.mu.Unlock()
		missing := ""
		for _, text := range texts {
			if !strings.Contains(got, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("no %q in\n%s", missing, got)
		}
	}
}

func (p *place) deliver(t *testing.T, octets int, to ...storage.AccountID) storage.MessageID {
	t.Helper()
	id, err := storetest.Deliver(p, storetest.Body(octets, "x"), to...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Mail expires after its time, is kept for another one, and then is gone; and so are removed
// accounts. The log tells of each maildrop, and of what can't be undeleted any more.
func TestTheChoreDeletesWhatIsOverItsTime(t *testing.T) {
	p := newPlace(t)
	alice, bob, carol := storetest.Account(t, p, "alice"), storetest.Account(t, p, "bob"), storetest.Account(t, p, "carol")
	for range 1000 {
		p.deliver(t, 100, alice)
	}
	p.deliver(t, 100, bob, carol)
	never := storage.NeverExpire
	if err := p.ChangeAccount(bob, storage.AccountChange{Expire: &never}); err != nil {
		t.Fatal(err)
	}
	c := New(p, storage.Retention{Mail: 30 * day, DeletedMail: 7 * day, RemovedAccounts: 7 * day}, p.log())
	c.Start()
	defer c.End()
	if err := p.RemoveAccount(carol); err != nil {
		t.Fatal(err)
	}
	p.pass(31 * day)
	c.Configure(*c.Settings())
	p.logged(t, `"mail expired" account=alice@example.org messages=1000 size=`, `"removed account purged" account=carol@example.org`)
	if k := p.Kept(); k.Deleted.Messages != 1000 || k.Accounts != 0 {
		t.Errorf("%+v", k)
	}
	p.pass(8 * day)
	c.Configure(*c.Settings())
	p.logged(t, `"deleted mail purged" messages=1000 size=`)
	if n, _, err := p.Usage(bob); n != 1 || err != nil {
		t.Errorf("%d messages of bob, %v", n, err)
	}
	if n := c.Stats.Expired.Load(); n != 1000 || c.Stats.Purged.Load() != 1000 || c.Stats.Accounts.Load() != 1 {
		t.Errorf("%d expired", n)
	}
}

// A maildrop that is open is visited again, until it is free.
func TestOpenMaildropsAreVisitedAgain(t *testing.T) {
	p := newPlace(t)
	alice, bob, carol := storetest.Account(t, p, "alice"), storetest.Account(t, p, "bob"), storetest.Account(t, p, "carol")
	p.deliver(t, 100, alice, bob, carol)
	c := New(p, storage.Retention{Mail: day}, p.log())
	p.pass(2 * day)
	lock, err := p.LockMaildrop(alice)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.RemoveAccount(carol); err != nil {
		t.Fatal(err)
	}
	c.expire(t.Context(), []storage.AccountID{alice, bob, carol})
	if len(c.busy) != 1 || c.busy[0] != alice {
		t.Errorf("%v are to be visited again", c.busy)
	}
	if n, _, _ := p.Usage(alice); n != 1 {
		t.Errorf("%d messages in the open maildrop", n)
	}
	p.logged(t, `"mail expired" account=bob@example.org messages=1`)
	lock.Release()
	c.expire(t.Context(), c.busy)
	p.logged(t, `"mail expired" account=alice@example.org messages=1`)
	if len(c.busy) != 0 {
		t.Errorf("%v are to be visited again", c.busy)
	}
}

// broken is a store that deletes nothing.
type broken struct{ storage.Store }

func (broken) Purge() (storage.Purged, error) { return storage.Purged{}, storage.ErrFailed }
func (broken) Expire(storage.AccountID) (storage.Expired, error) {
	return storage.Expired{More: true}, storage.ErrFailed
}
func (broken) Accounts(f func(storage.Account) bool) error {
	for id := range 10 {
		f(storage.Account{ID: storage.AccountID(id + 1)}) //nolint:gosec // small
	}
	return errors.Join(storage.ErrFailed)
}
func (broken) SetRetention(storage.Retention) {}

// A store that fails is told of once in a while, and ends nothing.
func TestAStoreThatFailsIsToldOfOnce(t *testing.T) {
	p := &place{}
	c := New(broken{}, storage.Retention{Mail: day}, p.log())
	for range 3 {
		c.purge(context.Background())
		c.expireAll(context.Background())
	}
	if n := strings.Count(p.text.String(), "can't be deleted"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &p.text)
	}
}
