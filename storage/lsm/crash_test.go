package lsm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// crasher clones the file system, as a power cut would leave it, before each
// operation that changes it.
type crasher struct {
	mem     *vfs.MemFS
	percent int // the part of unsynced data that is kept
	rand    *rand.Rand

	mu     sync.Mutex
	acked  int // steps that were acknowledged
	points []crashPoint
}

// crashPoint is the disk after a crash.
type crashPoint struct {
	fs    *vfs.MemFS
	op    string
	acked int
}

// MaybeError implements errorfs.Injector; it never makes an error.
func (c *crasher) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.points = append(c.points, crashPoint{
		fs:    c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: c.rand}),
		op:    fmt.Sprintf("%v of %s", op.Kind, op.Path),
		acked: c.acked,
	})
	return nil
}

func (c *crasher) String() string { return "crasher" }

// step is one change that is acknowledged or not.
type step struct {
	name string
	do   func(s *Store) error
}

// crashSteps is a life of a store: each delivery, POP3 UPDATE and removal that
// the table of states in doc.go has.
func crashSteps() (steps []step, newest func() storage.MessageID) {
	var accounts [3]storage.AccountID
	var ids []storage.MessageID
	newest = func() storage.MessageID { return slices.Max(append(ids, 0)) }
	deliver := func(octets, recipients int) func(*Store) error {
		return func(s *Store) error {
			id, err := storetest.Deliver(s, storetest.Body(octets, "crash"), accounts[:recipients]...)
			ids = append(ids, id)
			return err
		}
	}
	expunge := func(account int, which ...int) func(*Store) error {
		return func(s *Store) error {
			l, err := s.LockMaildrop(accounts[account])
			if err != nil {
				return err
			}
			defer l.Release()
			var gone []storage.MessageID
			for _, i := range which {
				gone = append(gone, ids[i])
			}
			return l.Expunge(gone)
		}
	}
	imported := func(uidl string) func(*Store) error {
		return func(s *Store) error {
			id, err := importOne(s, accounts[0], storetest.Body(3000, uidl), uidl)
			if err == nil {
				ids = append(ids, id)
			}
			return err
		}
	}
	steps = []step{
		{"add the domain", func(s *Store) error { return s.AddDomain(storetest.Domain) }},
		{"add accounts", func(s *Store) error {
			var as []storage.NewAccount
			for i := range accounts {
				as = append(as, storage.NewAccount{Name: fmt.Sprintf("user%d", i), Domain: storetest.Domain, Hash: "old"})
			}
			if err := s.AddAccounts(as); err != nil {
				return err
			}
			for i := range accounts {
				a, err := s.Lookup(as[i].Name, storetest.Domain)
				if err != nil {
					return err
				}
				accounts[i] = a.Account
			}
			return nil
		}},
		{"a small message to one", deliver(100, 1)},
		{"a small message to three", deliver(3000, 3)},
		{"a message of many chunks to one", deliver(200_000, 1)},
		{"a message of many chunks to three", deliver(700_000, 3)},
		{"an import", imported("UID1-2")},
		{"the import again", func(s *Store) error {
			if err := imported("UID1-2")(s); !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("the import again: %w", err)
			}
			return nil
		}},
		{"a draft that is dropped", func(s *Store) error {
			storetest.Draft(s, storetest.Body(300_000, "void")).Discard()
			return nil
		}},
		{"UPDATE of shared and own messages", expunge(0, 0, 1, 3)},
		{"UPDATE of the second owner", expunge(1, 1, 3)},
		{"a quota of the domain", func(s *Store) error {
			return s.SetDomainQuota(storetest.Domain, storage.Quota{Octets: 1 << 30, Messages: 1000})
		}},
		{"a domain alias", func(s *Store) error { return s.AddDomainAlias("alias.example", storetest.Domain) }},
		{"another name", func(s *Store) error {
			name, messages, access := "renamed", int64(50), storage.NoMail
			return s.ChangeAccount(accounts[1], storage.AccountChange{Name: &name, MaxMessages: &messages, Access: &access})
		}},
		{"a login", func(s *Store) error {
			s.NoteLogin(accounts[1], time.UnixMilli(1_700_000_000_000))
			return nil
		}},
		{"a password", func(s *Store) error { return s.SetPassword(accounts[2], "hash", "") }},
		{"removal of the last owner's account", func(s *Store) error { return s.RemoveAccount(accounts[2]) }},
		{"a verifier", func(s *Store) error { return s.SetVerifier(accounts[0], "old", "{SCRAM-SHA-256}v") }},
		{"the domain alias goes", func(s *Store) error { return s.RemoveDomain("alias.example") }},
		{"UPDATE of the rest", expunge(0, 2, 4)},
		{"removal of the account", func(s *Store) error { return s.RemoveAccount(accounts[1]) }},
	}
	return steps, newest
}

// state writes down all that a user can see in the store.
func state(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, s.DomainSettings())
	var accounts []storage.Account
	if err := s.Accounts(func(a storage.Account) bool { accounts = append(accounts, a); return true }); err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		fmt.Fprintf(&b, "%d %s %s %q %d %d\n", a.ID, a.Name, a.Domain, a.Hash, a.MaxMessages, a.Access)
		got := storetest.Contents(t, s, a.ID)
		ids := make([]storage.MessageID, 0, len(got))
		for id := range got {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		for _, id := range ids {
			fmt.Fprintf(&b, "  %s %d %08x\n", id, len(got[id]), crc32.ChecksumIEEE(got[id]))
		}
	}
	for name, d := range s.dir.domains {
		if s.dir.quotas > 0 {
			fmt.Fprintf(&b, "%s holds %d messages\n", name, s.dir.usedBy(d).messages)
		}
	}
	queueState(t, s, &b)
	keptState(t, s, &b)
	return b.String()
}

// Crash before every write of every step: what was acknowledged is there once
// and whole, a step is done or not done, and Check is clean.
func TestCrashBetweenEveryTwoWrites(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("unsynced%d", percent), func(t *testing.T) { crashEverywhere(t, percent, crashSteps) })
		t.Run(fmt.Sprintf("kept, unsynced%d", percent), func(t *testing.T) { crashEverywhere(t, percent, keptCrashSteps) })
		t.Run(fmt.Sprintf("queue, unsynced%d", percent), func(t *testing.T) { crashEverywhere(t, percent, queueCrashSteps) })
	}
}

func crashEverywhere(t *testing.T, percent int, life func() ([]step, func() storage.MessageID)) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &crasher{mem: vfs.NewCrashableMem(), percent: percent, rand: rand.New(rand.NewPCG(seed, 0)), acked: -1}
	s := openOn(t, errorfs.Wrap(c.mem, c))
	w := wanted{states: []string{state(t, s)}, newest: []storage.MessageID{0}}
	c.ack()
	steps, newest := life()
	for _, step := range steps {
		if err := step.do(s); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		c.ack()
		w.states = append(w.states, state(t, s))
		w.newest = append(w.newest, newest())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d crash points", len(c.points))
	for _, p := range c.points {
		w.verify(t, p)
		if t.Failed() {
			t.Fatalf("after %d steps, before %s", p.acked, p.op)
		}
	}
}

func (c *crasher) ack() {
	c.mu.Lock()
	c.acked++
	c.mu.Unlock()
}

// wanted is what must be found after a crash, by the number of acknowledged steps.
type wanted struct {
	states []string
	newest []storage.MessageID // the newest acknowledged id after each step
}

// verify opens what a crash has left.
func (w *wanted) verify(t *testing.T, p crashPoint) {
	t.Helper()
	opts := testOptions(p.fs)
	opts.Now = func() time.Time { return time.Now().Add(-time.Hour) } // the clock stepped back, too
	opts.Retention = keeping
	s, err := Open(opts)
	if err != nil && p.acked < 0 {
		return // a store that was never made: Pebble may leave a marker without its file
	}
	if err != nil {
		t.Fatalf("Open after %d steps, before %s: %v", p.acked, p.op, err)
	}
	at := max(p.acked, 0)
	next := min(p.acked+1, len(w.states)-1)
	if got := state(t, s); got != w.states[at] && got != w.states[next] {
		t.Errorf("found:\n%s\nwant:\n%s\nor:\n%s", got, w.states[at], w.states[next])
	}
	storetest.Clean(t, s)
	for _, tag := range []byte{tagDraft, tagDoomed} {
		if err := scan(s.db, []byte{tag}, func(k, _ []byte) (bool, error) {
			t.Errorf("row %x is left", k)
			return true, nil
		}); err != nil {
			t.Error(err)
		}
	}
	if id := s.NewDraft(0).ID(); id <= w.newest[at] {
		t.Errorf("id %s is given after %s was", id, w.newest[at])
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
