package lsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// recounted are what the domains hold by their rows, as text; kept are what memory says.
func recounted(t *testing.T, s *Store) (rows, kept string) {
	t.Helper()
	used, err := s.countRows(s.db, uint32(len(s.dir.numbered)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Domains() {
		d := s.dir.domains[name]
		rows += fmt.Sprintln(name, used[d.number])
		kept += fmt.Sprintln(name, s.dir.usedBy(d))
	}
	return rows, kept
}

func accountAt(t *testing.T, s *Store, name, domain string) storage.AccountID {
	t.Helper()
	if !s.HostsDomain(domain) {
		if err := s.AddDomain(domain); err != nil {
			t.Fatal(err)
		}
	}
	id, err := s.AddAccount(storage.NewAccount{Name: name, Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func deliverTo(t *testing.T, s *Store, ids ...storage.AccountID) storage.MessageID {
	t.Helper()
	id, err := storetest.Deliver(s, storetest.Body(300, fmt.Sprint(ids)), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// While what domains hold is added up, the store takes mail, and accounts and domains are
// changed: all of it is counted once.
func TestChangesWhileADomainIsCounted(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	alice, bob, carol := accountAt(t, s, "alice", "a.example"), accountAt(t, s, "bob", "b.example"), accountAt(t, s, "carol", "c.example")
	dave := accountAt(t, s, "dave", "a.example")
	first := deliverTo(t, s, alice, bob, carol, dave)
	deliverTo(t, s, carol)
	used, err := s.countDomains("a.example")
	if err != nil || used == nil {
		t.Fatal(used, err)
	}
	to, name := "b.example", "alice2"
	erin := accountAt(t, s, "erin", "new.example")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	deliverTo(t, s, alice, erin)
	must(s.ChangeAccount(alice, storage.AccountChange{Name: &name, Domain: &to})) // to another domain, with its mail
	deliverTo(t, s, alice, bob)
	must(s.Remove(bob, []storage.MessageID{first}))
	must(s.RemoveAccount(carol)) // the last one of its domain, which is made again
	must(s.RemoveDomain("c.example"))
	deliverTo(t, s, accountAt(t, s, "frank", "c.example"))
	must(s.setDomainQuota("a.example", storage.Quota{Messages: 100}, used))
	rows, kept := recounted(t, s)
	if rows != kept {
		t.Errorf("the rows say\n%sand what is kept says\n%s", rows, kept)
	}
	deliverTo(t, s, alice, bob, dave)
	if rows, kept := recounted(t, s); rows != kept {
		t.Errorf("later, the rows say\n%sand what is kept says\n%s", rows, kept)
	}
	if used, err := s.countDomains("b.example"); used != nil || err != nil {
		t.Errorf("it is kept, and is added up again: %v, %v", used, err)
	}
	must(s.SetDomainQuota("b.example", storage.Quota{Messages: 5}))
	if _, err := storetest.Deliver(s, storetest.Body(300, "x"), bob, alice); err == nil {
		t.Error("the domain has its quota, and took more")
	}
	must(s.SetDomainQuota("a.example", storage.Quota{}))
	must(s.SetDomainQuota("b.example", storage.Quota{}))
	if s.dir.use.kept != nil || s.dir.use.late != nil {
		t.Error("without a quota it is kept")
	}
	must(s.Close())
}

// Quotas come and go while sessions deliver and accounts are moved: at the end what is kept
// is what the rows say, and so is it after the next start.
func TestQuotasComeAndGoUnderLoad(t *testing.T) {
	fs := vfs.NewMem()
	s := openOn(t, fs)
	var ids []storage.AccountID
	for i := range 40 {
		ids = append(ids, accountAt(t, s, fmt.Sprint("user", i), fmt.Sprintf("d%d.example", i%4)))
	}
	var load sync.WaitGroup
	for n := range 4 {
		load.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for range 150 {
				switch id := ids[random.IntN(len(ids))]; random.IntN(8) {
				case 0:
					domain := fmt.Sprintf("d%d.example", random.IntN(4))
					if err := s.ChangeAccount(id, storage.AccountChange{Domain: &domain}); err != nil {
						t.Error(err)
					}
				default:
					if _, err := storetest.Deliver(s, storetest.Body(200, "x"), id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 60 {
		q := storage.Quota{Messages: 1 << 40}
		if i%3 == 2 {
			q = storage.Quota{}
		}
		for _, d := range []string{"d0.example", "d1.example"} {
			if err := s.SetDomainQuota(d, q); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.SetDomainQuota("d3.example", storage.Quota{Messages: 1 << 40}); err != nil {
		t.Error(err)
	}
	load.Wait()
	for range 2 {
		if rows, kept := recounted(t, s); rows != kept {
			t.Errorf("the rows say\n%sand what is kept says\n%s", rows, kept)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, fs)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// After a quota for a domain that is not ours, and one that a closed store is asked for,
// nothing is counted for ever.
func TestAQuotaThatIsRefusedCountsNothing(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	accountAt(t, s, "alice", "a.example")
	if err := s.SetDomainQuota("none.example", storage.Quota{Messages: 1}); err == nil || s.dir.use.late != nil {
		t.Errorf("%v, %v", err, s.dir.use.late)
	}
	if names := s.Domains(); !slices.Equal(names, []string{"a.example"}) {
		t.Errorf("%q", names)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDomainQuota("a.example", storage.Quota{Messages: 1}); err == nil {
		t.Error("a closed store takes a quota")
	}
}
