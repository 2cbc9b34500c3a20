package conn

import (
	"slices"
	"testing"
	"time"
)

// noted is a job that waits for its release, and then notes its name.
type noted struct {
	name string
	gate chan struct{}
	done *[]string // the names of done jobs; the pool has one worker
}

func (n noted) Work() {
	<-n.gate
	*n.done = append(*n.done, n.name)
}

func (noted) Unqueued() {}

func TestJobsThatWaitForOthers(t *testing.T) {
	p := NewPool(1, 4, 2)
	open := make(chan struct{})
	close(open)
	var done []string
	gate := make(chan struct{})
	p.Submit(noted{"first", gate, &done})
	for len(p.jobs) > 0 { // until the worker has it
		time.Sleep(time.Millisecond)
	}
	last := []bool{p.SubmitLast(noted{"last", open, &done}), p.SubmitLast(noted{"very last", open, &done}), p.SubmitLast(noted{"no room", open, &done})}
	if !slices.Equal(last, []bool{true, true, false}) {
		t.Errorf("queued: %v", last)
	}
	p.Submit(noted{"second", open, &done})
	p.Submit(noted{"third", open, &done})
	close(gate)
	p.Close()
	if want := []string{"first", "second", "third", "last", "very last"}; !slices.Equal(done, want) {
		t.Errorf("done: %q, want %q", done, want)
	}
}
