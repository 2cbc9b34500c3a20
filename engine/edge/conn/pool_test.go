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

// held is a job that tells that it runs, and ends when it is let go.
type held struct {
	runs  chan<- struct{}
	letGo <-chan struct{}
}

func (h held) Work()     { h.runs <- struct{}{}; <-h.letGo }
func (h held) Unqueued() { panic("there is room") }

// More workers take jobs that wait; fewer are left once they have done their job, and no job
// is lost.
func TestPool_Resize(t *testing.T) {
	p := NewPool(1, 64, 64)
	runs, letGo := make(chan struct{}, 64), make(chan struct{})
	for range 6 {
		p.Submit(held{runs, letGo})
	}
	<-runs
	if p.Resize(4); p.Workers() != 4 {
		t.Errorf("%d workers, want 4", p.Workers())
	}
	for range 3 {
		<-runs // three more run at the same time
	}
	p.Resize(1)
	close(letGo)
	for range 2 {
		<-runs
	}
	one := make(chan struct{})
	p.Submit(held{runs, one})
	<-runs
	p.Submit(held{runs, one})
	p.SubmitLast(held{runs, one})
	if n := p.Waiting(); n != 2 || len(runs) != 0 {
		t.Errorf("%d jobs wait, want 2: one worker is left, and it is at work", n)
	}
	close(one)
	p.Close()
	if len(runs) != 2 {
		t.Errorf("%d jobs ran after the others, want 2", len(runs))
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
