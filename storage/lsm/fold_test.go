package lsm

import (
	"context"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// old writes rows as programs before format 3 did.
type old struct {
	t *testing.T
	s *Store
}

func (o old) domain(name string) { o.set(domainKey(name), []byte{1}) }

func (o old) account(a storage.Account) {
	b := o.s.db.NewBatch()
	setAccount(b, &a)
	setAddress(b, a.Name, a.Domain, addressValue{account: a.ID})
	if err := o.s.db.Apply(b, pebble.Sync); err != nil {
		o.t.Fatal(err)
	}
}

func (o old) alias(local, domain string, targets ...string) {
	o.set(addressKey(local, domain), append([]byte{kindAlias}, targetsRest(targets)[4:]...))
}

func (o old) set(k, v []byte) {
	if err := o.s.db.Set(k, v, pebble.Sync); err != nil {
		o.t.Fatal(err)
	}
}

// TestOldNamesAreFolded: a store with U-labels and decomposed letters serves on, with
// all accounts, mail and aliases, and with clashing names kept apart.
func TestOldNamesAreFolded(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openOn(t, fs)
	owner := accountIn(t, s, "owner")
	o := old{t, s}
	o.domain("café.example")
	o.domain("xn--caf-dma.example")
	o.domain("grün.example")
	o.account(storage.Account{ID: 50, Name: "info", Domain: "café.example", Hash: "first"})
	o.account(storage.Account{ID: 51, Name: "info", Domain: "xn--caf-dma.example", Hash: "second"})
	o.account(storage.Account{ID: 52, Name: "zoe\u0308", Domain: "grün.example", Hash: "third"})
	o.account(storage.Account{ID: 53, Name: "zoe\u0308", Domain: "example.org"})
	o.alias("team", "café.example", "a@example.org", "b@example.org")
	o.alias("team", "xn--caf-dma.example", "b@example.org", "c@example.org")
	o.alias("", "grün.example", "info@café.example")
	o.alias("lone", "café.example", "x@far.example")
	o.alias("info.2", "xn--caf-dma.example", "x@far.example")
	o.set(keyNextAccount, []byte{0, 0, 0, 0, 0, 0, 0, 60})
	for range 2 { // the second time there is nothing to do
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openOn(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	}
	defer s.Close()
	if got := s.Domains(); !slices.Equal(got, []string{"example.org", "xn--caf-dma.example", "xn--grn-ioa.example"}) {
		t.Errorf("domains %q", got)
	}
	f := func(local, domain string, want storage.AccountID, targets ...string) {
		t.Helper()
		a, err := s.Lookup(local, domain)
		if err != nil || a.Account != want || !slices.Equal(a.Targets, targets) {
			t.Errorf("%s@%s: %+v %v", local, domain, a, err)
		}
		if acc, err := s.Account(want); want != 0 && (err != nil || acc.Name != local || acc.Domain != domain) {
			t.Errorf("account %d: %+v %v", want, acc, err)
		}
	}
	f("owner", "example.org", owner)
	f("info", "xn--caf-dma.example", 51)
	f("info.3", "xn--caf-dma.example", 50)
	f("zoë", "xn--grn-ioa.example", 52)
	f("zoë", "example.org", 53)
	f("team", "xn--caf-dma.example", 0, "b@example.org", "c@example.org", "a@example.org")
	f("lone", "xn--caf-dma.example", 0, "x@far.example")
	f("", "xn--grn-ioa.example", 0, "info@café.example")
	if a, err := s.Account(50); err != nil || a.Hash != "first" {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := storetest.Deliver(s, []byte("Subject: x\r\n\r\n"), 50, 51, 52); err != nil {
		t.Error(err)
	}
	if err := s.RemoveAccount(52); err != nil {
		t.Error(err)
	}
	sum, err := s.Check(context.Background(), func(f storage.Fault) { t.Errorf("%+v", f) })
	if err != nil || sum.Faults != 0 {
		t.Errorf("%+v %v", sum, err)
	}
}

// TestQueueOfAnInternationalDomain: entries of both spellings are found by the A-label.
func TestQueueOfAnInternationalDomain(t *testing.T) {
	f := &storage.QueueFilter{Domain: "xn--caf-dma.example"}
	for domain, want := range map[string]bool{"xn--caf-dma.example": true, "café.example": true, "cafe.example": false} {
		if isTo(f, domain) != want {
			t.Errorf("%s: %t", domain, !want)
		}
	}
	if hasOneSpelling(f.Domain) || hasOneSpelling("ann@café.example") || hasOneSpelling("ann@XN--caf-dma.example") || !hasOneSpelling("Ann@far.example") {
		t.Error("hasOneSpelling")
	}
}
