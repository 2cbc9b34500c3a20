package engine

import "testing"

// Pages take up to two thirds of what large messages have, and never more than is free.
func TestPagesTakeFromTheBudget(t *testing.T) {
	b := newBudget(64 << 20)
	if !b.pages.Reserve(16<<20) || b.pages.Reserve(1) || b.used() != 16<<20 {
		t.Errorf("%d octets are booked", b.used())
	}
	b.pages.Release(16 << 20)
	if !b.bulk.Reserve(22<<20) || b.pages.Reserve(4<<20) || !b.pages.Reserve(2<<20) {
		t.Errorf("%d octets are booked", b.used())
	}
	b.pages.Release(2 << 20)
	b.bulk.Release(22 << 20)
	if b.used() != 0 || b.pages.used.Load() != 0 {
		t.Errorf("%d octets are still booked", b.used())
	}
}
