package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

const day = 24 * time.Hour

// keeping keeps all that is deleted.
var keeping = storage.Retention{DeletedMail: 7 * day, RemovedAccounts: 14 * day}

func deletedOf(t testing.TB, s *Store, a storage.AccountID) (ids []storage.MessageID) {
	t.Helper()
	if err := s.Deleted(a, func(d storage.DeletedMessage) bool { ids = append(ids, d.ID); return true }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// purgeAll purges until nothing is over its time.
func purgeAll(t testing.TB, s *Store) (messages int64) {
	t.Helper()
	for {
		p, err := s.Purge()
		if err != nil {
			t.Fatal(err)
		}
		if messages += p.Mail.Messages; !p.More {
			return messages
		}
	}
}

// keptState writes down what is kept, for tests of crashes.
func keptState(t *testing.T, s *Store, b *strings.Builder) {
	t.Helper()
	line := func(a storage.Account) {
		for _, id := range deletedOf(t, s, a.ID) {
			_, e, err := s.committer.kept(a.ID, id)
			if err != nil {
				t.Fatal(err)
			}
			m := &message{s: s, rows: s.db, id: id, entry: e}
			body, err := storetest.ReadAll(m)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(b, "deleted of %d: %s %s %d %08x\n", a.ID, id, e.uidl, len(body), crc32.ChecksumIEEE(body))
		}
	}
	if err := s.RemovedAccounts(func(r storage.RemovedAccount) bool {
		fmt.Fprintf(b, "removed: %d %s %s %q with %d\n", r.ID, r.Name, r.Domain, r.Hash, r.Holds.Messages)
		line(r.Account)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Accounts(func(a storage.Account) bool { line(a); return true }); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(b, "kept: %+v\n", s.Kept())
}

// keptCrashSteps is a life of what is kept.
func keptCrashSteps() (steps []step, newest func() storage.MessageID) {
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
	remove := func(account int, which ...int) func(*Store) error {
		return func(s *Store) error {
			var gone []storage.MessageID
			for _, i := range which {
				gone = append(gone, ids[i])
			}
			return s.Remove(accounts[account], gone)
		}
	}
	undelete := func(account int, which ...int) func(*Store) error {
		return func(s *Store) error {
			var back []storage.MessageID
			for _, i := range which {
				back = append(back, ids[i])
			}
			all, err := s.Undelete(accounts[account], back)
			if err == nil && len(all) != len(back) {
				err = fmt.Errorf("%d of %d are back", len(all), len(back))
			}
			return err
		}
	}
	// Messages go by their time all at once, so that there is one state before and one after.
	purge := func(r storage.Retention) func(*Store) error {
		return func(s *Store) error {
			s.SetRetention(r)
			defer s.SetRetention(keeping)
			for {
				if p, err := s.Purge(); err != nil || !p.More {
					return err
				}
			}
		}
	}
	return []step{
		{"the domain", func(s *Store) error { s.SetRetention(keeping); return s.AddDomain(storetest.Domain) }},
		{"accounts", func(s *Store) (err error) {
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
		{"a quota", func(s *Store) error { return s.SetDomainQuota(storetest.Domain, storage.Quota{Messages: 1000}) }},
		{"a small message to three", deliver(3000, 3)},
		{"a message of many chunks to one", deliver(200_000, 1)},
		{"a message of many chunks to three", deliver(700_000, 3)},
		{"an import", func(s *Store) error {
			id, err := importOne(s, accounts[0], storetest.Body(3000, "imported"), "UID1-2")
			ids = append(ids, id)
			return err
		}},
		{"UPDATE", remove(0, 0, 1, 2, 3)},
		{"undelete", undelete(0, 1, 2, 3)},
		{"UPDATE again", remove(0, 3, 2)},
		{"UPDATE of another owner", remove(1, 2)},
		{"purge", purge(storage.Retention{RemovedAccounts: keeping.RemovedAccounts})},
		{"UPDATE of the last message", remove(0, 1)},
		{"removal", func(s *Store) error { return s.RemoveAccount(accounts[0]) }},
		{"return under another name", func(s *Store) error { return s.RestoreAccount(accounts[0], "back", storetest.Domain) }},
		{"undelete there", undelete(0, 1)},
		{"removal of the last owner", func(s *Store) error { return s.RemoveAccount(accounts[2]) }},
		{"its end", func(s *Store) error { return s.PurgeAccount(accounts[2]) }},
		{"the end of an account", func(s *Store) error { return s.PurgeAccount(accounts[1]) }},
		{"removal again", func(s *Store) error { return s.RemoveAccount(accounts[0]) }},
		{"its end in time", purge(storage.Retention{DeletedMail: keeping.DeletedMail})},
	}, newest
}

// Deleted mail is kept as long as it is meant to be, and goes then, whatever the clock does
// and however often the server starts.
func TestWhatIsKeptKnowsNoStepsOfTheClock(t *testing.T) {
	for _, step := range steps {
		t.Run(step.String(), func(t *testing.T) {
			mem, c := vfs.NewMem(), newStepClock()
			open := func() *Store {
				s := openStepped(t, mem, c)
				s.SetRetention(keeping)
				return s
			}
			s := open()
			a, b := accountIn(t, s, "alice"), accountIn(t, s, "bob")
			id, err := storetest.Deliver(s, storetest.Body(100, "x"), a)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Remove(a, []storage.MessageID{id}), s.RemoveAccount(b)); err != nil {
				t.Fatal(err)
			}
			there := func(when string, mail, accounts int64) {
				t.Helper()
				purgeAll(t, s)
				if k := s.Kept(); k.Deleted.Messages != mail || k.Accounts != accounts {
					t.Fatalf("%s: %+v", when, k)
				}
			}
			there("at once", 1, 1)
			c.step(step)
			there("a step", 1, 1)
			// The server runs, and is stopped for a moment now and then.
			run := func(d time.Duration) {
				t.Helper()
				for ; d > 0; d -= 12 * time.Hour {
					c.wait(12 * time.Hour)
					purgeAll(t, s)
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					c.wait(time.Minute)
					s = open()
				}
			}
			c.step(-step) // a start believes a clock within a day
			run(5 * day)
			there("5 days", 1, 1)
			run(3 * day)
			there("8 days", 0, 1)
			run(5 * day)
			there("13 days", 0, 1)
			run(2 * day)
			there("15 days", 0, 0)
			storetest.Clean(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A start with a clock that is far ahead deletes nothing: what is kept ages by a day.
func TestAStartWithAWrongClockPurgesNothing(t *testing.T) {
	mem, c := vfs.NewMem(), newStepClock()
	s := openStepped(t, mem, c)
	s.SetRetention(keeping)
	a, b := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	id, err := storetest.Deliver(s, storetest.Body(100, "x"), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Remove(a, []storage.MessageID{id}), s.RemoveAccount(b), s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c.step(400 * day)
		s = openStepped(t, mem, c)
		s.SetRetention(keeping)
		if n := purgeAll(t, s); n != 0 || s.Kept().Accounts != 1 {
			t.Fatalf("%d messages went, %+v is kept", n, s.Kept())
		}
		var until time.Duration
		if err := s.Deleted(a, func(d storage.DeletedMessage) bool { until = d.Until.Sub(c.now()); return true }); err != nil {
			t.Fatal(err)
		}
		if until < 0 || until > keeping.DeletedMail {
			t.Errorf("it can be undeleted for %v", until)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The same for mail that expires, of all accounts or of one.
func TestAStartWithAWrongClockExpiresNothing(t *testing.T) {
	for _, own := range []time.Duration{0, 30 * day} {
		all := storage.Retention{Mail: 30*day - own}
		mem, c := vfs.NewMem(), newStepClock()
		open := func() *Store {
			opts := testOptions(mem)
			opts.Now, opts.pass, opts.Retention = c.now, c.pass, all
			s, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := open()
		a := accountIn(t, s, "alice")
		if err := s.ChangeAccount(a, storage.AccountChange{Expire: &own}); err != nil {
			t.Fatal(err)
		}
		if _, err := storetest.Deliver(s, storetest.Body(100, "x"), a); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			purgeAll(t, s) // as the server does all the time
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.step(400 * day)
			s = open()
			if x, err := s.Expire(a); err != nil || x.Mail.Messages != 0 {
				t.Fatalf("%+v, %v", x, err)
			}
		}
		c.wait(30 * day)
		if x, err := s.Expire(a); err != nil || x.Mail.Messages != 1 {
			t.Errorf("%+v, %v", x, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Mail expires when it has been in its maildrop for the time, whatever date it was imported
// with, and not before the same time has passed after an undelete.
func TestMailExpiresByTheTimeThatItWasThere(t *testing.T) {
	for _, step := range append([]time.Duration{0}, steps...) {
		mem, c := vfs.NewMem(), newStepClock()
		s := openStepped(t, mem, c)
		s.SetRetention(storage.Retention{Mail: 30 * day, DeletedMail: 7 * day})
		a := accountIn(t, s, "alice")
		for i := range 3 {
			if _, err := storetest.Enqueue(arrivesAt{s, c.now().Add(-1000 * day)}, storetest.Body(10, "x"), []storage.AccountID{a}); err != nil {
				t.Fatal(err)
			}
			if c.wait(day); i == 0 {
				c.step(step)
			}
		}
		expire := func(want int64) {
			t.Helper()
			got := int64(0)
			for {
				x, err := s.Expire(a)
				if err != nil {
					t.Fatal(err)
				}
				if got += x.Mail.Messages; !x.More {
					break
				}
			}
			if got != want {
				t.Fatalf("step %v: %d messages went, want %d", step, got, want)
			}
		}
		c.wait(26 * day)
		expire(0)
		c.wait(day + time.Hour)
		expire(1)
		gone := deletedOf(t, s, a)
		if _, err := s.Undelete(a, gone); err != nil {
			t.Fatal(err)
		}
		c.wait(29 * day)
		expire(0) // the others stay longer with it
		c.wait(day + time.Hour)
		expire(3)
		storetest.Clean(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What expires is counted right while mail comes.
func TestExpireCountsWhatItDeleted(t *testing.T) {
	for _, deletes := range []time.Duration{0, day} {
		c := newStepClock()
		s := openStepped(t, vfs.NewMem(), c)
		s.SetRetention(storage.Retention{Mail: 30 * day, DeletedMail: deletes})
		a := accountIn(t, s, "alice")
		for _, octets := range []int{100, 3000} {
			if _, err := storetest.Deliver(s, storetest.Body(octets, "x"), a); err != nil {
				t.Fatal(err)
			}
		}
		_, before, err := s.Usage(a)
		if err != nil {
			t.Fatal(err)
		}
		c.wait(31 * day)

		// The committer waits until the expiry is queued and, after it, a delivery.
		waits, goOn, done := make(chan bool), make(chan bool), make(chan error, 3)
		go func() {
			done <- s.doAlone(&call{stage: func(*pebble.Batch) error { close(waits); <-goOn; return nil }})
		}()
		<-waits
		var x storage.Expired
		go func() {
			var err error
			x, err = s.Expire(a)
			done <- err
		}()
		s.queue.wait()
		s.Deliver(&storage.Delivery{
			Draft: storetest.Draft(s, storetest.Body(5000, "y")), Arrival: c.now(), Size: 5000,
			Recipients: []storage.Recipient{{Account: a, Trace: storetest.Trace(a)}},
			Done:       func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
		})
		close(goOn)
		if err := errors.Join(<-done, <-done, <-done); err != nil {
			t.Fatal(err)
		}
		if want := (storage.Quota{Octets: before, Messages: 2}); x.Mail != want {
			t.Errorf("%+v expired, want %+v", x.Mail, want)
		}
		if n, _, err := s.Usage(a); n != 1 || err != nil {
			t.Errorf("%d messages are left, %v", n, err)
		}
		storetest.Clean(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A maildrop of many messages expires in steps, and so does deleted mail.
func TestManyMessagesGoInSteps(t *testing.T) {
	c := newStepClock()
	s := openStepped(t, vfs.NewMem(), c)
	defer s.Close()
	s.SetRetention(storage.Retention{Mail: day, DeletedMail: day})
	a := accountIn(t, s, "alice")
	const n = 2*purgeStep + 7
	for range n {
		if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
			t.Fatal(err)
		}
	}
	c.wait(25 * time.Hour)
	for _, want := range []int64{purgeStep, purgeStep, 7} {
		if x, err := s.Expire(a); err != nil || x.Mail.Messages != want || x.More != (want == purgeStep) {
			t.Fatalf("%+v, %v; want %d", x, err, want)
		}
	}
	c.wait(25 * time.Hour)
	for _, want := range []int64{purgeStep, purgeStep, 7} {
		if p, err := s.Purge(); err != nil || p.Mail.Messages != want || p.More != (want == purgeStep) {
			t.Fatalf("%+v, %v; want %d", p, err, want)
		}
	}
	if sum := storetest.Clean(t, s); sum.Deleted != 0 || sum.Messages != 0 {
		t.Errorf("%+v", sum)
	}
}

// A full disk is no reason to refuse mail as long as deleted mail is kept: that goes before
// its time, some each ten seconds, the oldest first. Removed accounts stay.
func TestAFullDiskPurgesEarly(t *testing.T) {
	mem, c := vfs.NewMem(), newStepClock()
	usage := func(avail uint64) {
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: avail, TotalBytes: 100 << 30, UsedBytes: 100<<30 - avail})
	}
	usage(50 << 30)
	s := openStepped(t, mem, c)
	defer s.Close()
	s.SetRetention(keeping)
	a, removed := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	const octets = 1 << 20
	var ids []storage.MessageID
	for range 70 {
		id, err := storetest.Deliver(s, storetest.Body(octets, "x"), a)
		if err == nil {
			err = s.Remove(a, []storage.MessageID{id})
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		if len(ids) == 35 || len(ids) == 69 { // by steps of their own
			for range purgeStep {
				if id, err = storetest.Deliver(s, []byte("x\r\n"), a); err == nil {
					err = s.Remove(a, []storage.MessageID{id})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := s.RemoveAccount(removed); err != nil {
		t.Fatal(err)
	}
	if n := purgeAll(t, s); n != 0 {
		t.Fatalf("%d messages went with room on the disk", n)
	}
	usage(500 << 20)
	s.space.look()
	if n := purgeAll(t, s); n < 60 || n >= 70+2*purgeStep {
		t.Errorf("%d messages went at once", n)
	}
	left := deletedOf(t, s, a)
	if purgeAll(t, s) != 0 || len(left) == 0 || left[0] < ids[35] {
		t.Errorf("%d messages are left, %v the first", len(left), left[0])
	}
	c.wait(11 * time.Second)
	if n := purgeAll(t, s); n != int64(len(left)) || s.Kept().Accounts != 1 {
		t.Errorf("%d messages went then, %+v is kept", n, s.Kept())
	}
	storetest.Clean(t, s)
}

// Expunge and Undelete are whole: a row that can't be read leaves all as it was.
func TestADamagedRowExpungesNothing(t *testing.T) {
	for _, deletes := range []time.Duration{0, time.Hour} {
		s := openOn(t, vfs.NewMem())
		s.SetRetention(storage.Retention{DeletedMail: deletes})
		a := accountIn(t, s, "alice")
		var ids []storage.MessageID
		for range 3 {
			id, err := storetest.Deliver(s, storetest.Body(100, "x"), a)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		var k [maildropKeyLen]byte
		row, closer, err := s.db.Get(putMaildropKey(&k, a, ids[1]))
		if err != nil {
			t.Fatal(err)
		}
		row = slices.Clone(row)
		if err := errors.Join(closer.Close(), s.db.Set(k[:], []byte("damaged"), nil)); err != nil {
			t.Fatal(err)
		}
		if err := s.Remove(a, ids); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Remove: %v", err)
		}
		if err := s.db.Set(k[:], row, nil); err != nil {
			t.Fatal(err)
		}
		if n := len(storetest.Contents(t, s, a)); n != 3 {
			t.Errorf("%d messages are left, kept %v", n, deletes)
		}
		storetest.Clean(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Check finds what is wrong with what is kept.
func TestCheckFindsFaultsOfWhatIsKept(t *testing.T) {
	f := func(want string, harm func(s *Store, a, removed storage.AccountID, id storage.MessageID) error) {
		t.Helper()
		s := openOn(t, vfs.NewMem())
		defer s.Close()
		s.SetRetention(keeping)
		a, removed := accountIn(t, s, "alice"), accountIn(t, s, "bob")
		id, err := storetest.Deliver(s, storetest.Body(100, "x"), a, removed)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Remove(a, []storage.MessageID{id}), s.RemoveAccount(removed)); err != nil {
			t.Fatal(err)
		}
		storetest.Clean(t, s)
		if err := harm(s, a, removed, id); err != nil {
			t.Fatal(err)
		}
		var found []string
		if _, err := s.Check(t.Context(), func(f storage.Fault) { found = append(found, f.Text) }); err != nil {
			t.Error(err)
		}
		if !slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, want) }) {
			t.Errorf("%q is not among %q", want, found)
		}
	}
	keyOf := func(a storage.AccountID, id storage.MessageID) []byte {
		var k [keptKeyLen]byte
		return slices.Clone(putKeptKey(&k, a, id))
	}
	rowOf := func(tag byte, a storage.AccountID) []byte {
		var k [accountKeyLen]byte
		return slices.Clone(putAccountKey(&k, tag, a))
	}
	f("the deleted message can't be read", func(s *Store, a, _ storage.AccountID, id storage.MessageID) error {
		return s.db.Set(keyOf(a, id), []byte("x"), nil)
	})
	f("leads to no deleted message", func(s *Store, a, _ storage.AccountID, id storage.MessageID) error {
		return s.db.Delete(keyOf(a, id), nil)
	})
	f("kept for ever", func(s *Store, a, _ storage.AccountID, id storage.MessageID) error {
		return s.db.DeleteRange([]byte{tagDeleted}, []byte{tagDeleted + 1}, nil)
	})
	f("leads to no deleted message", func(s *Store, a, _ storage.AccountID, id storage.MessageID) error {
		var k [deletedKeyLen]byte
		return s.db.Set(putDeletedKey(&k, 1, a, id), nil, nil)
	})
	f("the counter of deleted mail says", func(s *Store, _, _ storage.AccountID, _ storage.MessageID) error {
		return s.db.Delete(keyKeptTotal, nil)
	})
	f("belongs to no account", func(s *Store, _, removed storage.AccountID, _ storage.MessageID) error {
		return s.db.Delete(rowOf(tagRemoved, removed), nil)
	})
	f("can't be restored", func(s *Store, _, removed storage.AccountID, _ storage.MessageID) error {
		return s.db.Set(rowOf(tagRemoved, removed), []byte("x"), nil)
	})
	f("is there and is removed, too", func(s *Store, a, _ storage.AccountID, _ storage.MessageID) error {
		return s.db.Set(rowOf(tagRemoved, a), (&removedAccount{}).row(), nil)
	})
	f("row of the last undelete", func(s *Store, _, _ storage.AccountID, _ storage.MessageID) error {
		return s.db.Set(rowOf(tagSince, 99), nil, nil)
	})
}

// A store of the format before this opens, with its accounts.
func TestAStoreOfFormat5Opens(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	a := accountIn(t, s, "alice")
	was, err := s.Account(a)
	if err != nil {
		t.Fatal(err)
	}
	var k [accountKeyLen]byte
	row := appendAccount(nil, &was)
	row = slices.Delete(row, 26, 34) // expire
	row[0] = accountVersion2
	err = errors.Join(s.db.Set(putAccountKey(&k, tagAccount, a), row, pebble.Sync), s.db.Set(keyFormat, binary.BigEndian.AppendUint64(nil, 5), pebble.Sync), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	s = openOn(t, fs)
	defer s.Close()
	if is, err := s.Account(a); is != was || err != nil {
		t.Errorf("%+v, %v; was %+v", is, err, was)
	}
	if v, err := s.number(keyFormat); v != FormatVersion || err != nil {
		t.Errorf("format %d, %v", v, err)
	}
}

// Salvage keeps what was deleted as deleted, and what was removed as removed.
func TestSalvageBringsNothingBack(t *testing.T) {
	mem := vfs.NewMem()
	s := openOn(t, mem)
	s.SetRetention(keeping)
	a, removed := accountIn(t, s, "alice"), accountIn(t, s, "bob")
	var ids []storage.MessageID
	for i := range 4 {
		id, err := storetest.Deliver(s, storetest.Body(100_000, fmt.Sprint(i)), a, removed)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	imported, err := importOne(s, a, storetest.Body(500, "imported"), "UID1")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Remove(a, append(ids[:2:2], imported)), s.Remove(removed, ids[3:]), s.RemoveAccount(removed)); err != nil {
		t.Fatal(err)
	}
	var before strings.Builder
	keptState(t, s, &before)
	box := slices.Sorted(maps.Keys(storetest.Contents(t, s, a)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sum, err := Salvage(t.Context(), SalvageOptions{Dir: "data", Out: "out", FS: mem, Report: func(f storage.Fault) { t.Errorf("%+v", f) }})
	if err != nil || sum.Deleted != 4 || sum.Removed != 1 || sum.Accounts != 1 || sum.Found != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	opts := testOptions(mem)
	opts.Dir = "out"
	if s, err = Open(opts); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetRetention(keeping)
	storetest.Clean(t, s)
	var after strings.Builder
	keptState(t, s, &after)
	if got := slices.Sorted(maps.Keys(storetest.Contents(t, s, a))); !slices.Equal(got, box) || after.String() != before.String() {
		t.Errorf("%v\n%s\nwas %v\n%s", got, &after, box, &before)
	}
	if err := s.RestoreAccount(removed, "bob", "example.org"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Undelete(a, ids); err != nil {
		t.Fatal(err)
	}
	if n, m := len(storetest.Contents(t, s, a)), len(storetest.Contents(t, s, removed)); n != 4 || m != 3 {
		t.Errorf("%d and %d messages are back", n, m)
	}
	storetest.Clean(t, s)
}

// Whatever is in the rows of what is kept, reading them ends, and what was read is written as
// it was.
func FuzzKeptRows(f *testing.F) {
	e := entry{wire: 3, size: 3, chunks: 1, trace: []byte("A: b\r\n"), uidl: []byte("UID1")}
	f.Add(e.appendTo(binary.BigEndian.AppendUint64(nil, 7)))
	r := removedAccount{7, storage.Account{Name: "a", Domain: "b", Hash: "h", Expire: day, Created: time.UnixMilli(0)}}
	f.Add(r.row())
	f.Add(slices.Insert(r.row(), removedHeadLen+1, 0))
	f.Fuzz(func(t *testing.T, v []byte) {
		if at, e, err := parseKept(v); err == nil {
			if got := e.appendTo(binary.BigEndian.AppendUint64(nil, at)); string(got) != string(v) && v[keptHeadLen+1]&entryUIDL == 0 {
				t.Errorf("%x became %x", v, got)
			}
		}
		r, err := parseRemoved(1, v)
		if err != nil {
			return
		}
		again, err := parseRemoved(1, r.row())
		if err != nil || again != r {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
