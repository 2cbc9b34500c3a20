package lsm

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/storage"
	"postrider/storage/storetest"
)

// queueState writes down all that can be seen of the mail queue.
func queueState(t *testing.T, s *Store, b *strings.Builder) {
	t.Helper()
	n, octets := s.QueueTotal()
	fmt.Fprintf(b, "queue of %d entries, %d octets\n", n, octets)
	for _, e := range storetest.All(t, s, storage.QueueFilter{}) {
		m, err := s.OpenQueued(e)
		if err != nil {
			t.Fatal(err)
		}
		body, err := storetest.ReadAll(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(b, "  %s %s due %d held %v warned %v %s %v %08x\n",
			e.ID, e.Domain, dueOf(e), e.Held, e.Warned, e.Status, e.Recipients, crc32.ChecksumIEEE(body))
	}
	if err := scan(s.db, []byte{tagHistory}, func(k, v []byte) (bool, error) {
		fmt.Fprintf(b, "  %x %s\n", k, v)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// queueLife is the state of queueCrashSteps.
type queueLife struct {
	alice storage.AccountID
	ids   []storage.MessageID
}

func (l *queueLife) newest() storage.MessageID { return slices.Max(append(l.ids, 0)) }

func (l *queueLife) enqueue(octets int, local bool, domains ...string) func(*Store) error {
	return func(s *Store) error { return l.deliver(s, octets, local, nil, domains...) }
}

func (l *queueLife) deliver(s *Store, octets int, local bool, ss []storage.Settlement, domains ...string) error {
	var to []storage.AccountID
	if local {
		to = append(to, l.alice)
	}
	var relayed []*storage.QueueEntry
	for _, d := range domains {
		relayed = append(relayed, storetest.Waiting(d, "x", "y"))
	}
	id, err := storetest.Notify(s, storetest.Body(octets, "crash"), to, relayed, ss)
	l.ids = append(l.ids, id)
	return err
}

// settle settles what is due of a destination.
func (l *queueLife) settle(domain string, how func(e *storage.QueueEntry) storage.Settlement) func(*Store) error {
	return func(s *Store) error {
		ss, err := settlements(s, domain, how)
		if err != nil {
			return err
		}
		return s.Settle(ss)
	}
}

func settlements(s *Store, domain string, how func(e *storage.QueueEntry) storage.Settlement) (ss []storage.Settlement, err error) {
	due, err := s.ReadDue(domain, storage.Cursor{}, 100)
	for _, e := range due {
		st := how(e)
		st.Record = storage.Record{At: time.UnixMilli(1), Text: "attempt of " + e.ID.String()}
		ss = append(ss, st)
	}
	if err == nil && len(ss) == 0 {
		err = errors.New("nothing is due of " + domain)
	}
	return ss, err
}

func (l *queueLife) sleep(domain string) func(*Store) error {
	return func(s *Store) error {
		s.Sleep(domain, storage.Cursor{}, time.Time{})
		return s.ForgetHistory(time.Time{}) // nothing; but the Sleep before it is carried out
	}
}

func (l *queueLife) move(m storage.QueueMove, which ...storage.QueueFilter) func(*Store) error {
	return func(s *Store) error {
		var ids []storage.EntryID
		for _, f := range which {
			if err := s.Queued(f, func(e *storage.QueueEntry) bool { ids = append(ids, e.ID); return true }); err != nil {
				return err
			}
		}
		n, err := s.MoveQueued(ids, m)
		if err == nil && n == 0 {
			err = fmt.Errorf("move %d moved nothing", m)
		}
		return err
	}
}

// queueCrashSteps is a life of the mail queue: each way of an entry in and out,
// and each way from one place to another.
func queueCrashSteps() (steps []step, newest func() storage.MessageID) {
	l := new(queueLife)
	later := func(e *storage.QueueEntry) storage.Settlement {
		return storetest.Later(e, time.Now().Add(time.Hour), "4.4.1")
	}
	steps = []step{
		{"a domain", func(s *Store) error { return s.AddDomain(storetest.Domain) }},
		{"an account", func(s *Store) (err error) {
			l.alice, err = s.AddAccount(storage.NewAccount{Name: "alice", Domain: storetest.Domain})
			return err
		}},
		{"a message to one destination", l.enqueue(500, false, "a.test")},
		{"one of many chunks to two, and a maildrop", l.enqueue(200_000, true, "a.test", "b.test")},
		{"one to three", l.enqueue(3000, false, "a.test", "b.test", "c.test")},
		{"the first destination is put off", l.settle("a.test", later)},
		{"and sleeps", l.sleep("a.test")},
		{"one recipient of the second is done with", l.settle("b.test", func(e *storage.QueueEntry) storage.Settlement {
			st := later(e)
			st.Keep, st.Due = e.Recipients[:1], time.Time{}
			return st
		})},
		{"the third fails, and a notification is queued", func(s *Store) error {
			ss, err := settlements(s, "c.test", storetest.Done)
			if err != nil {
				return err
			}
			return l.deliver(s, 70_000, true, ss, "d.test")
		}},
		{"and sleeps for good", l.sleep("c.test")},
		{"the first is held", l.move(storage.Hold, storage.QueueFilter{Domain: "a.test"})},
		{"the second is done with", l.settle("b.test", storetest.Done)},
		{"some are released", l.move(storage.Release, storage.QueueFilter{Domain: "a.test"})},
		{"all are made due", l.move(storage.RequeueNow, storage.QueueFilter{})},
		{"the maildrop is emptied", func(s *Store) error {
			lock, err := s.LockMaildrop(l.alice)
			if err != nil {
				return err
			}
			defer lock.Release()
			return lock.Expunge(l.ids)
		}},
		{"one is dropped", l.move(storage.DropQueued, storage.QueueFilter{Domain: "d.test"})},
		{"the rest is delivered", l.settle("a.test", storetest.Done)},
		{"and sleeps", l.sleep("a.test")},
		{"what was is forgotten", func(s *Store) error { return s.ForgetHistory(time.Now().Add(time.Hour)) }},
	}
	return steps, l.newest
}
