package dns

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
	done   chan struct{}
	rec    *Records        // once done
	wanted context.Context // ends when all have left before the question was asked
	giveUp context.CancelFunc

	askers  int  // under flights.mu, as these are:
	asked   bool // it has its slot
	leaving bool // all had left before
}

// join waits with others for the answer to q. The first has take wait for a slot, and then
// ask find it. nil: ctx has ended before.
func (f *flights) join(ctx context.Context, q question, take func(wanted context.Context) (release func(), err error), ask func() *Records) *Records {
	f.mu.Lock()
	one := f.open[q]
	if one == nil || one.leaving {
		one = &flight{done: make(chan struct{})}
		one.wanted, one.giveUp = context.WithCancel(context.Background())
		if f.open == nil {
			f.open = make(map[question]*flight)
		}
		f.open[q] = one
		go f.run(q, one, take, ask)
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

func (f *flights) run(q question, one *flight, take func(wanted context.Context) (release func(), err error), ask func() *Records) {
	release, err := take(one.wanted)
	if err == nil {
		if f.mayAsk(one) {
			one.rec = ask()
		}
		release()
	}
	f.mu.Lock()
	if f.open[q] == one {
		delete(f.open, q)
	}
	f.mu.Unlock()
	close(one.done)
}

// mayAsk says whether somebody still wants the answer of a flight that has its slot.
func (f *flights) mayAsk(one *flight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	one.asked = !one.leaving
	return one.asked
}

func (f *flights) leave(one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.askers--; one.askers == 0 {
		one.leaving = !one.asked
		one.giveUp()
	}
}
