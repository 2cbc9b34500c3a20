package agent

import (
	"time"

	"postrider/engine/relay/queue"
	"postrider/storage"
)

// lookEvery is how often the store is asked which destinations are due. Its marks
// have a grain of 4 s.
const lookEvery = time.Second

// lookAround wakes the destinations whose time has come.
func (c *Courier) lookAround() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := c.store.Awake(func(domain string) { c.wake(domain, false) }); err != nil && !c.closing.Load() {
			c.log.Error("the queue can't be read", "err", err)
		}
		select {
		case <-tick.C:
		case <-c.ended:
			return
		}
	}
}

// The sweep looks for entries whose sender is owed a word and that no attempt has
// looked at, because their destination sleeps: once a minute, in the order of
// arrival. Entries that were warned, and those that are younger, are not read: two
// marks move along the queue with the time. An attempt may come later than the
// schedule says by a wait and its jitter; slack leaves it that time.
func (c *Courier) sweep() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var warned time.Time // entries that arrived before were looked at for the warning
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-c.ended:
			return
		}
		now := time.Now()
		slack := c.slack()
		if after := c.settings.Policy.WarnAfter; after > 0 {
			until := now.Add(-after - slack)
			c.sweepRange(storage.QueueFilter{ArrivedAfter: warned, ArrivedBefore: until, Unwarned: true}, now, slack)
			warned = until
		}
		c.sweepRange(storage.QueueFilter{ArrivedBefore: now.Add(-c.settings.Policy.Lifetime - slack)}, now, slack)
		if n%60 == 0 {
			keep := c.settings.Policy.Lifetime + historyAfter
			if err := c.store.ForgetHistory(now.Add(-keep)); err != nil && !c.closing.Load() {
				c.log.Error("old history can't be dropped", "err", err)
			}
		}
	}
}

// historyAfter is how long "why" knows of a message after the end of its lifetime.
const historyAfter = 48 * time.Hour

// slack is how much later than the schedule an attempt may be.
func (c *Courier) slack() time.Duration {
	longest := c.settings.Policy.Retry[0]
	for _, w := range c.settings.Policy.Retry {
		longest = max(longest, w)
	}
	return longest + longest*time.Duration(c.settings.Policy.Jitter)/100 + time.Minute
}

// sweepRange settles what is owed to the entries of a range.
func (c *Courier) sweepRange(f storage.QueueFilter, now time.Time, slack time.Duration) {
	err := c.store.Queued(f, func(e *storage.QueueEntry) bool {
		if a := c.settings.Policy.Overdue(e, now, slack); a != nil {
			c.finish(e, a, 0)
		}
		return !c.closing.Load()
	})
	if err != nil && !c.closing.Load() {
		c.log.Error("the queue can't be swept", "err", err)
	}
}

// finish judges an attempt, records what follows, and logs it.
func (c *Courier) finish(e *storage.QueueEntry, a *queue.Attempt, random float64) {
	j := c.settings.Policy.Judge(e, a, random)
	c.record(j)
	c.logAttempt(e, a, &j)
}
