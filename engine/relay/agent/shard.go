package agent

import (
	"sync"
	"time"

	"postrider/engine/relay/queue"
)

// shard has a scheduler, and carries out its effects.
type shard struct {
	c  *Courier
	mu sync.Mutex // guards the fields below; held for microseconds
	s  *queue.Scheduler

	ticking bool
}

// load is a request to read a destination's due entries.
type load struct {
	sh *shard
	queue.Load
}

// effects is a pool of empty Effects.
var effects = sync.Pool{New: func() any { return new(queue.Effects) }}

// do calls f with the scheduler locked, carries out the effects, and returns the result of
// f. Carrying out never waits.
func (sh *shard) do(f func(now time.Time, e *queue.Effects) bool) bool {
	return sh.doUnder(f, func() {})
}

// doUnder is do, and calls unlock before it carries out the effects.
func (sh *shard) doUnder(f func(now time.Time, e *queue.Effects) bool, unlock func()) bool {
	e := effects.Get().(*queue.Effects)
	sh.mu.Lock()
	ok := f(time.Now(), e)
	tick := !sh.ticking && !sh.s.Idle()
	sh.ticking = sh.ticking || tick
	sh.mu.Unlock()
	unlock()
	if tick {
		time.AfterFunc(tickEvery, sh.tick)
	}
	sh.carryOut(e)
	e.Reset()
	effects.Put(e)
	return ok
}

// tickEvery is how often the scheduler checks sites that wait for their rate limit.
const tickEvery = 100 * time.Millisecond

func (sh *shard) tick() {
	if sh.c.closing.Load() {
		return
	}
	sh.do(func(now time.Time, e *queue.Effects) bool {
		sh.ticking = false
		sh.s.Tick(now, e)
		return true
	})
}

func (sh *shard) carryOut(e *queue.Effects) {
	for _, l := range e.Load {
		sh.c.enqueue(load{sh, l})
	}
	for _, s := range e.Sleep {
		sh.c.store.Sleep(s.Domain, s.After, s.NotBefore)
	}
	for _, a := range e.Start {
		if sh.c.closing.Load() {
			continue // the entry is on the disk
		}
		s := newSession(sh, a.Session)
		sh.c.running.Go(func() { s.run(a.Job) })
	}
	for _, a := range e.Assign {
		a.Session.Handle.(*session).jobs <- a.Job
	}
	for _, s := range e.Close {
		s.Handle.(*session).jobs <- nil
	}
	for _, p := range e.Postpone {
		sh.c.running.Go(func() { sh.postpone(p) })
	}
}

// suspended begins the reason of an entry that is put off without an attempt.
const suspended = "delivery temporarily suspended: "

// postpone settles an entry that is put off without an attempt.
func (sh *shard) postpone(p queue.Postponed) {
	sh.c.record(queue.Judgement{Settlement: queue.Postpone(p.Job.Entry, p.Due, p.Fault.Status, suspended+p.Fault.Text)})
	sh.do(func(_ time.Time, e *queue.Effects) bool {
		sh.s.Postponed(p.Job, e)
		return true
	})
}

// enqueue gives a load to the readers. It never waits: a load without room in the channel
// gets a goroutine. There are at most as many of them as destinations awake.
func (c *Courier) enqueue(l load) {
	select {
	case c.loads <- l:
	default:
		c.running.Go(func() {
			select {
			case c.loads <- l:
			case <-c.ended:
			}
		})
	}
}

// serveLoads serves loads until the Courier ends. Each reader is a goroutine.
func (c *Courier) serveLoads() {
	for {
		select {
		case l := <-c.loads:
			entries, err := c.store.ReadDue(l.Domain, l.After, l.Limit)
			if err != nil {
				c.log.Error("the queue can't be read", "domain", l.Domain, "err", err)
			}
			l.sh.do(func(now time.Time, e *queue.Effects) bool {
				l.sh.s.Loaded(l.Load, entries, err, now, e)
				return true
			})
		case <-c.ended:
			return
		}
	}
}
