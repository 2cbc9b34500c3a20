package resolver

import (
	"context"
	"sync"
)

// flights are the questions that are being asked, so that none is asked twice at once.
// A question whose askers have all left before it got a slot is not asked at all; once it
// is under way it goes on, for the cache.
type flights struct {
	mu   sync.Mutex
	open map[question]*flight
}

type flight struct {
	done    chan struct{}
	rec     *records        // once done
	askers  int             // under flights.mu
	wanted  context.Context // ends when all have left
	giveUp  context.CancelFunc
	leaving bool // all have left; under flights.mu
}

// join waits with others for the answer to q, for which find is called by the first.
// nil: ctx has ended before.
func (f *flights) join(ctx context.Context, q question, find func(wanted context.Context) *records) *records {
	f.mu.Lock()
	one := f.open[q]
	if one == nil || one.leaving {
		one = &flight{done: make(chan struct{})}
		one.wanted, one.giveUp = context.WithCancel(context.Background())
		if f.open == nil {
			f.open = make(map[question]*flight)
		}
		f.open[q] = one
		go f.run(q, one, find)
	}
	one.askers++
	f.mu.Unlock()
	defer f.leave(one)
	select {
	case <-one.done:
		return one.rec
	case <-ctx.Done():
		return nil
	}
}

func (f *flights) run(q question, one *flight, find func(wanted context.Context) *records) {
	one.rec = find(one.wanted)
	f.mu.Lock()
	if f.open[q] == one {
		delete(f.open, q)
	}
	f.mu.Unlock()
	close(one.done)
}

func (f *flights) leave(one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.askers--; one.askers == 0 {
		one.leaving = true
		one.giveUp()
	}
}
