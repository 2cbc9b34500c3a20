package dns

import (
	"context"
	"sync"
)

// flights are the open questions. Several goroutines that ask the same question share one
// flight. If all of them give up before the flight has a slot, the question is not sent.
// After that it goes on, for the cache.
type flights struct {
	mu   sync.Mutex
	open map[question]*flight
}

type flight struct {
	done   chan struct{}
	rec    *Records        // set before done is closed
	wanted context.Context // ends when all askers have left before the question was sent
	giveUp context.CancelFunc

	askers  int  // under flights.mu, as the fields below
	asked   bool // the flight has its slot
	leaving bool // all askers left before that
}

// join waits for the answer to q, together with others. For the first asker it calls take,
// which waits for a slot, and then ask. It returns nil when ctx ends first.
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

// mayAsk reports whether a flight that has its slot still has askers.
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
