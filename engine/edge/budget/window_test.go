package budget

import (
	"testing"
	"time"
)

// A window grows step by step, waits for room when there is none, and gives all back,
// also while it waits.
func TestWindow(t *testing.T) {
	g := newGroup(t)
	m := New(1 << 20) // Bulk: 384 KiB, room for one large window
	var first, second Window
	granted := make(chan struct{}, 1)
	task := taskFunc(func() { granted <- struct{}{} })
	for _, w := range []*Window{&first, &second} {
		if !w.Ask(m, g.Loops()[0], task) || w.Octets() != SmallWindow {
			t.Fatalf("no small window: %d", w.Octets())
		}
	}
	if !first.Ask(m, g.Loops()[0], task) || first.Octets() != LargeWindow || m.Begin.Used() != SmallWindow {
		t.Fatalf("no large window, or the small one is kept: %d", first.Octets())
	}
	if second.Ask(m, g.Loops()[0], task) {
		t.Fatal("there is no room for a second large window")
	}
	second.Release(m)
	if m.Used() != LargeWindow {
		t.Errorf("%d octets are booked after a window that waited was released", m.Used())
	}
	if !second.Ask(m, g.Loops()[0], task) || second.Ask(m, g.Loops()[0], task) {
		t.Fatal("the second window waits again")
	}
	first.Release(m)
	select {
	case <-granted:
	case <-time.After(hang):
		t.Fatal("the task was not posted")
	}
	second.Grow(m)
	if second.Octets() != LargeWindow || m.Used() != LargeWindow {
		t.Errorf("%d octets, %d booked", second.Octets(), m.Used())
	}
	second.Release(m)
	if m.Used() != 0 {
		t.Errorf("%d octets are still booked", m.Used())
	}
}
