package agent

import (
	"errors"
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
// its jitter; slack allows for that. An entry that is in memory for an attempt is left to it.
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
			if left := c.sweepRange(storage.QueueFilter{ArrivedAfter: warned, ArrivedBefore: until, Unwarned: true}, now, slack); left != nil {
				until = left.Arrival // its id has this time or a later one
			}
			warned = later(warned, until)
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

// later is the later one of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sweepRange settles the overdue entries that f selects. left is the first one that is in
// memory for an attempt: the attempt informs the sender, or the next sweep does.
func (c *Courier) sweepRange(f storage.QueueFilter, now time.Time, slack time.Duration) (left *storage.QueueEntry) {
	err := c.store.Queued(f, func(e *storage.QueueEntry) bool {
		if c.rules().Policy.Overdue(e, now, slack) != nil && !c.settleOverdue(e, now, slack) && left == nil {
			left = e
		}
		return !c.closing.Load()
	})
	if err != nil && !c.closing.Load() {
		c.log.Error("the queue can't be searched for overdue entries", "err", err)
	}
	return left
}

// settleOverdue settles an entry if it is still overdue. It reports false if the entry is in
// memory for an attempt: a settlement beside the attempt's would inform the sender twice.
func (c *Courier) settleOverdue(e *storage.QueueEntry, now time.Time, slack time.Duration) bool {
	for i, sh := range c.shards {
		if !sh.claim(e) {
			unclaim(e, c.shards[:i])
			return false
		}
	}
	defer unclaim(e, c.shards)
	e, err := c.store.QueuedEntry(e.ID) // an attempt may have been settled since it was read
	if errors.Is(err, storage.ErrNotFound) {
		return true
	}
	if err != nil {
		if !c.closing.Load() {
			c.log.Error("the queue can't be read", "err", err)
		}
		return false
	}
	if a := c.rules().Policy.Overdue(e, now, slack); a != nil {
		c.finish(e, a, 0)
	}
	return true
}

// claim keeps an entry out of the shard's memory; false: it may be there.
func (sh *shard) claim(e *storage.QueueEntry) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.s.Claim(e.Domain, e.ID)
}

// unclaim ends claim in some shards.
func unclaim(e *storage.QueueEntry, shards []*shard) {
	for _, sh := range shards {
		sh.mu.Lock()
		sh.s.Unclaim(e.Domain)
		sh.mu.Unlock()
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
