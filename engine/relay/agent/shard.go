package agent

import (
	"sync"
	"time"

	"postrider/engine/relay/queue"
)

// shard is a scheduler and what carries its wishes out.
type shard struct {
	c  *Courier
	mu sync.Mutex // guards what follows; held for microseconds
	s  *queue.Scheduler

	ticking bool
}

// load is a destination to be read.
type load struct {
	sh *shard
	queue.Load
}

// effects are emptied and used again.
var effects = sync.Pool{New: func() any { return new(queue.Effects) }}

// do calls the scheduler and carries out what it wants. Nothing of that waits.
// f returns false when nothing came of it.
func (sh *shard) do(f func(now time.Time, e *queue.Effects) bool) bool {
	e := effects.Get().(*queue.Effects)
	sh.mu.Lock()
	ok := f(time.Now(), e)
	tick := !sh.ticking && !sh.s.Idle()
	sh.ticking = sh.ticking || tick
	sh.mu.Unlock()
	if tick {
		time.AfterFunc(tickEvery, sh.tick)
	}
	sh.carryOut(e)
	e.Reset()
	effects.Put(e)
	return ok
}

// tickEvery is how often sites are looked at that wait for their rate limit.
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
			continue // what is in memory is on the disk
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

// suspended begins the reason of an entry that is not tried.
const suspended = "delivery temporarily suspended: "

// postpone settles an entry that is not tried.
func (sh *shard) postpone(p queue.Postponed) {
	sh.c.record(queue.Judgement{Settlement: queue.Postpone(p.Job.Entry, p.Due, p.Fault.Status, suspended+p.Fault.Text)})
	sh.do(func(_ time.Time, e *queue.Effects) bool {
		sh.s.Postponed(p.Job, e)
		return true
	})
}

// enqueue hands a load to the readers. It never waits: what the channel does not
// hold gets a goroutine, of which there are at most as many as destinations awake.
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

// read is a goroutine that reads the queue.
func (c *Courier) read() {
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
