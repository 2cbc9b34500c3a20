package lsm

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// Kept listings equal listings of all rows, while messages come, also with earlier
// ids, and go.
func TestKeptListingsAreWhole(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	a := accountIn(t, s, "alice")
	rng := rand.New(rand.NewPCG(1, 2))
	var waiting []storage.Draft
	deliver := func(d storage.Draft) {
		t.Helper()
		if _, err := storetest.DeliverDraft(s, d, 10, a); err != nil {
			t.Fatal(err)
		}
	}
	grown := 0
	for range 600 {
		switch d := storetest.Draft(s, storetest.Body(10, "x")); {
		case rng.IntN(4) > 0:
			deliver(d)
		default:
			waiting = append(waiting, d)
		}
		if rng.IntN(8) == 0 && len(waiting) > 0 {
			deliver(waiting[0])
			waiting = waiting[1:]
		}
		if rng.IntN(4) == 0 && listsAll(t, s, a, rng) {
			grown++
		}
	}
	for _, d := range waiting {
		d.Discard()
	}
	if grown < 20 {
		t.Errorf("%d listings were made of what was kept", grown)
	}
}

// listsAll compares List with the rows, and deletes some messages at times; grown: the
// listing was made of what was kept.
func listsAll(t *testing.T, s *Store, a storage.AccountID, rng *rand.Rand) (grown bool) {
	t.Helper()
	l, err := s.hold(a)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	limit := 1000 - rng.IntN(2)*rng.IntN(1000)
	kept, err := l.grown(limit)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.List(limit)
	if err != nil {
		t.Fatal(err)
	}
	want, err := l.scan(new(storage.Listing), 0, limit)
	if err != nil {
		t.Fatal(err)
	}
	if got.Len() != want.Len() || got.Octets() != want.Octets() || got.More != want.More {
		t.Fatalf("%d messages of %d octets, More %v; want %d of %d, %v", got.Len(), got.Octets(), got.More, want.Len(), want.Octets(), want.More)
	}
	var gone []storage.MessageID
	for i := range want.Len() {
		id, octets := got.At(i)
		if wantID, wantOctets := want.At(i); id != wantID || octets != wantOctets {
			t.Fatalf("message %d is %s of %d octets, want %s of %d", i, id, octets, wantID, wantOctets)
		}
		if rng.IntN(200) == 0 {
			gone = append(gone, id)
		}
	}
	if rng.IntN(4) == 0 {
		if err := l.Expunge(gone); err != nil {
			t.Fatal(err)
		}
	}
	return kept != nil
}

// What is kept is bounded, and the youngest stay.
func TestKeptListingsAreBounded(t *testing.T) {
	var k listings
	listing := new(storage.Listing)
	for i := range 1000 {
		listing.Append(storage.MessageID(i+1), 1)
	}
	for a := range storage.AccountID(5000) {
		k.put(a, listing)
		if k.get(a) != listing {
			t.Fatal("the youngest is not kept")
		}
		if n := len(k.young) + len(k.old); n > 2*keptListings/1000 {
			t.Fatalf("%d listings are kept", n)
		}
	}
	if len(k.young)*(1000+listingCosts) != k.size {
		t.Errorf("the size is %d with %d listings", k.size, len(k.young))
	}
	for a := range storage.AccountID(5000) {
		k.drop(a)
	}
	if len(k.young)+len(k.old)+k.size != 0 {
		t.Errorf("%d and %d listings are left, size %d", len(k.young), len(k.old), k.size)
	}
	k.put(1, new(storage.Listing))
	if k.get(1) != nil {
		t.Error("a small listing is kept")
	}
}
