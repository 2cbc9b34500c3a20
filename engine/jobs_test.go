package engine

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// noted is a job that notes its name when it is done, after it was let go.
type noted struct {
	name string
	gate chan struct{}
	done *[]string // of a pool with one worker
}

func (n noted) work() {
	<-n.gate
	*n.done = append(*n.done, n.name)
}

func (noted) unqueued() {}

func TestJobsThatWaitForOthers(t *testing.T) {
	p := newPool(1, 4, 2)
	open := make(chan struct{})
	close(open)
	var done []string
	gate := make(chan struct{})
	p.submit(noted{"first", gate, &done})
	for len(p.jobs) > 0 { // until the worker has it
		time.Sleep(time.Millisecond)
	}
	last := []bool{p.submitLast(noted{"last", open, &done}), p.submitLast(noted{"very last", open, &done}), p.submitLast(noted{"no room", open, &done})}
	if !slices.Equal(last, []bool{true, true, false}) {
		t.Errorf("queued: %v", last)
	}
	p.submit(noted{"second", open, &done})
	p.submit(noted{"third", open, &done})
	close(gate)
	p.close()
	if want := []string{"first", "second", "third", "last", "very last"}; !slices.Equal(done, want) {
		t.Errorf("done: %q, want %q", done, want)
	}
}

func TestWhoWaitsForOthers(t *testing.T) {
	f, at := newFailures(10, 10*time.Second), time.Now()
	ip := netip.MustParseAddr("192.0.2.1")
	neighbour, other := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.3.1")
	f.admit(ip, at)
	if f.owes(ip, at) {
		t.Error("the only login of a network has to wait")
	}
	f.admit(neighbour, at)
	f.admit(other, at)
	if !f.owes(ip, at) || !f.owes(neighbour, at) || f.owes(other, at) {
		t.Errorf("two logins of one network and one of another: %t %t %t", f.owes(ip, at), f.owes(neighbour, at), f.owes(other, at))
	}
	if f.owes(ip, at.Add(time.Second)) {
		t.Error("a failure counts for ever")
	}
	f.forgive(ip, at)
	if f.owes(neighbour, at) {
		t.Error("a login that was right still counts")
	}
}
