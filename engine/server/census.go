package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/conn"
	"postrider/engine/front/admin"
	"postrider/storage"
)

// A scrape must cost little, whatever there is to count and however often it comes. So the
// queue is counted in the background, at a bounded rate, and only while something asks for
// the figures; and sessions are counted once for all scrapes of some seconds.

// ageBounds are the bounds of the ages that entries of the queue are counted by.
var ageBounds = [ages - 1]time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour}

const (
	ages    = 6
	classes = 3
)

var (
	ageNames   = [ages]string{"5m", "15m", "1h", "4h", "1d", "more"}
	classNames = [classes]admin.QueueState{admin.Active, admin.Deferred, admin.OnHold}
)

// ageCount is the queue by class and age.
type ageCount struct {
	entries [classes][ages]int64
	at      time.Time     // when the count ended
	took    time.Duration // from its begin
}

// add counts an entry.
func (t *ageCount) add(e *storage.QueueEntry, now time.Time) {
	class, age := 0, 0
	switch admin.StateOf(e, now) {
	case admin.Deferred:
		class = 1
	case admin.OnHold:
		class = 2
	}
	for old := now.Sub(e.Arrival); age < len(ageBounds) && old > ageBounds[age]; {
		age++
	}
	t.entries[class][age]++
}

const (
	// countEvery is the pause after a count, while the figures are asked for. A count that
	// took longer has a longer one.
	countEvery = 30 * time.Second
	// countRun is how many entries are counted before a pause of countPause. An entry takes
	// about 10 us, so that a count has a tenth of a core.
	countRun   = 1000
	countPause = 100 * time.Millisecond
)

// queueAges counts the queue by class and age, again and again. look has the last result.
type queueAges struct {
	queue  storage.Queue
	last   atomic.Pointer[ageCount]
	asked  atomic.Bool   // since the last count
	every  time.Duration // countEvery, unless a test changes it
	pause  time.Duration
	failed func(error)
}

// look is the last count; nil: there is none.
func (q *queueAges) look() *ageCount {
	q.asked.Store(true)
	return q.last.Load()
}

// start counts until stop is called. The first count is made in any case.
func (q *queueAges) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for told := false; ; {
			began := time.Now()
			err := q.count(ctx)
			if err != nil && ctx.Err() == nil && !told {
				q.failed(err)
			}
			told = err != nil
			if !q.sleep(ctx, max(q.every, time.Since(began))) {
				return
			}
			for !q.asked.Swap(false) {
				if !q.sleep(ctx, time.Second) {
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (q *queueAges) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// count counts the queue. Entries that come or go meanwhile may be counted or not. A queue
// that is read again and again from its start would never end: the count stops at twice the
// entries that there were.
func (q *queueAges) count(ctx context.Context) error {
	began := time.Now()
	t, n := new(ageCount), int64(0)
	total, _ := q.queue.QueueTotal()
	err := q.queue.Queued(storage.QueueFilter{AnyOrder: true}, func(e *storage.QueueEntry) bool {
		t.add(e, began)
		n++
		return n < 2*total+countRun && (n%countRun != 0 || q.sleep(ctx, q.pause))
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	t.at = time.Now()
	t.took = t.at.Sub(began)
	q.last.Store(t)
	return nil
}

// censusFor is how long a census of the sessions counts. One visits all sessions, so that
// ten scrapes a second would be felt.
const censusFor = 5 * time.Second

// sessionsDoing is the census of the sessions. What was there once stays with a zero: a
// series does not break off.
type sessionsDoing struct {
	edge *conn.Edge

	mu   sync.Mutex
	at   time.Time
	last map[conn.Doing]int
}

// look counts the sessions, unless they were counted lately. A loop that is stuck does not
// hold it up for longer than patience.
func (d *sessionsDoing) look() map[conn.Doing]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.at) < censusFor {
		return d.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	now, err := d.edge.Census(ctx)
	d.at = time.Now()
	if err != nil {
		return d.last
	}
	for what := range d.last {
		if _, is := now[what]; !is {
			now[what] = 0
		}
	}
	d.last = now
	return now
}
