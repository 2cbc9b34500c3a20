package agent

import (
	"time"

	"postrider/engine/relay/queue"
	"postrider/storage"
)

// wakeEvery is how often wakeDue asks the store which destinations are due. The store
// rounds due times to 4 s.
const wakeEvery = time.Second

// wakeDue wakes the destinations that are due.
func (c *Courier) wakeDue() {
	tick := time.NewTicker(wakeEvery)
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

// sweep finds entries that are overdue for a delay warning or for their end, and that no
// attempt has reached because their destination sleeps. It runs once a minute, in the order
// of arrival. It reads neither younger entries nor entries with a warning: two times of
// arrival mark how far it has come. An attempt may be later than its due time by a wait and
// its jitter; slack allows for that.
func (c *Courier) sweep() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var warned time.Time // entries that arrived before this have had their warning
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-c.ended:
			return
		}
		now := time.Now()
		slack := c.slack()
		if after := c.rules().Policy.WarnAfter; after > 0 {
			until := now.Add(-after - slack)
			c.sweepRange(storage.QueueFilter{ArrivedAfter: warned, ArrivedBefore: until, Unwarned: true}, now, slack)
			warned = until
		}
		c.sweepRange(storage.QueueFilter{ArrivedBefore: now.Add(-c.rules().Policy.Lifetime - slack)}, now, slack)
		if n%60 == 0 {
			keep := c.rules().Policy.Lifetime + historyAfter
			if err := c.store.ForgetHistory(now.Add(-keep)); err != nil && !c.closing.Load() {
				c.log.Error("old history can't be deleted", "err", err)
			}
		}
	}
}

// historyAfter is how long a message's history ("why") is kept after its lifetime.
const historyAfter = 48 * time.Hour

// slack is how much later than its due time an attempt may be.
func (c *Courier) slack() time.Duration {
	longest := c.rules().Policy.Retry[0]
	for _, w := range c.rules().Policy.Retry {
		longest = max(longest, w)
	}
	return longest + longest*time.Duration(c.rules().Policy.Jitter)/100 + time.Minute
}

// sweepRange settles the overdue entries that f selects.
func (c *Courier) sweepRange(f storage.QueueFilter, now time.Time, slack time.Duration) {
	err := c.store.Queued(f, func(e *storage.QueueEntry) bool {
		if a := c.rules().Policy.Overdue(e, now, slack); a != nil {
			c.finish(e, a, 0)
		}
		return !c.closing.Load()
	})
	if err != nil && !c.closing.Load() {
		c.log.Error("the queue can't be searched for overdue entries", "err", err)
	}
}

// finish judges an attempt, records the judgement, and logs the attempt.
func (c *Courier) finish(e *storage.QueueEntry, a *queue.Attempt, random float64) {
	j := c.rules().Policy.Judge(e, a, random)
	c.record(j)
	c.logAttempt(e, a, &j)
	c.keep(e, a, &j)
	c.sendSpans(e, a)
}
