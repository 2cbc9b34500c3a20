package budget

import "testing"

// Pages take up to two thirds of what large messages have, and never more than is free.
func TestPagesTakeFromTheBudget(t *testing.T) {
	b := New(64 << 20)
	if !b.Pages.Reserve(16<<20) || b.Pages.Reserve(1) || b.Used() != 16<<20 {
		t.Errorf("%d octets are booked", b.Used())
	}
	b.Pages.Release(16 << 20)
	if !b.Bulk.Reserve(22<<20) || b.Pages.Reserve(4<<20) || !b.Pages.Reserve(2<<20) {
		t.Errorf("%d octets are booked", b.Used())
	}
	b.Pages.Release(2 << 20)
	b.Bulk.Release(22 << 20)
	if b.Used() != 0 || b.Pages.used.Load() != 0 {
		t.Errorf("%d octets are still booked", b.Used())
	}
}
