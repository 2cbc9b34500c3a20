package conn

import (
	"slices"
	"sync"
	"sync/atomic"
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

// counted is a job that counts how it ended.
type counted struct{ worked, unqueued *atomic.Int64 }

func (c counted) Work()     { c.worked.Add(1) }
func (c counted) Unqueued() { c.unqueued.Add(1) }

// A job that comes while the pool is closed, or after that, is worked or told that it is not:
// a drain does not wait for messages forever, and they come with jobs afterwards.
func TestJobsThatComeAsThePoolCloses(t *testing.T) {
	const submitters, each = 8, 200
	for range 20 {
		p := NewPool(2, 4, 4)
		var worked, unqueued, queued atomic.Int64
		var all sync.WaitGroup
		begun := make(chan struct{}, submitters)
		for i := range submitters {
			all.Go(func() {
				for n := range each {
					submit := p.Submit
					if (i+n)%2 == 0 {
						submit = p.SubmitLast
					}
					if submit(counted{&worked, &unqueued}) {
						queued.Add(1)
					}
					if n == 0 {
						begun <- struct{}{}
					}
				}
			})
		}
		<-begun
		p.Close()
		done := worked.Load()
		all.Wait()
		if p.Submit(counted{&worked, &unqueued}) || p.SubmitLast(counted{&worked, &unqueued}) {
			t.Fatal("a closed pool takes a job")
		}
		p.Close()
		if worked.Load() != done || done != queued.Load() || done+unqueued.Load() != submitters*each+2 {
			t.Fatalf("%d jobs queued, %d done, %d of them after Close, %d not queued, of %d", queued.Load(), worked.Load(), worked.Load()-done, unqueued.Load(), submitters*each+2)
		}
	}
}
