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

// All parts follow limits.memory, also the shares that rooms were given at the start.
func TestResize(t *testing.T) {
	m := New(64 << 20)
	all, strangers := m.OfAll(), m.OfStrangers()
	f := func(octets int64) {
		t.Helper()
		m.Resize(octets)
		for name, has := range map[string][2]int64{
			"begin": {m.Begin.Max(), octets / 4}, "bulk": {m.Bulk.Max(), octets * 3 / 8}, "listings": {m.Listings.Max(), octets / 4},
			"held": {m.Held.Max(), octets / 8}, "of all": {all.Max(), octets / 8}, "of strangers": {strangers.Max(), octets * 3 / 32}, "pages": {m.Pages.max(), octets / 4},
		} {
			if has[0] != has[1] {
				t.Errorf("%d octets: %s has %d, want %d", octets, name, has[0], has[1])
			}
		}
	}
	f(256 << 20)
	f(8 << 20)
	if m.Resize(1); m.Bulk.Max() < LargeWindow || m.Begin.Max() < SmallWindow {
		t.Errorf("a window does not fit: %d, %d", m.Begin.Max(), m.Bulk.Max())
	}
}
