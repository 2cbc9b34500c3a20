package agent

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// logAttempt writes a line for each recipient of an attempt, in the form of Postfix's log,
// and counts.
func (c *Courier) logAttempt(e *storage.QueueEntry, a *queue.Attempt, j *queue.Judgement) {
	expired := a.At.Sub(e.Arrival) >= c.rules().Policy.Lifetime
	to, delay := ToOtherHosts, c.Stats.Delay
	if a.Final {
		to, delay = ToMaildrops, c.entrance.Load().Delay
	}
	on := c.log.Enabled(c.ctx, slog.LevelInfo)
	id := slog.String("id", e.ID.Message.String())
	for i := range e.Recipients {
		res := &a.Results[i]
		outcome := Deferred
		switch {
		case res.Verdict == queue.Delivered:
			outcome = Sent
			delay.Observe(a.At.Sub(e.Arrival))
		case res.Verdict == queue.Permanent:
			outcome = Bounced
		case expired:
			outcome = Expired
		case a.NotMade:
			continue // a delay warning without an attempt
		}
		c.Stats.count(to, outcome, res.Status)
		if !on {
			continue
		}
		c.logRecipient(e, i, a, outcome.String())
	}
	if on && len(j.Settlement.Keep) == 0 && c.gone(e.ID.Message) {
		c.info(maillog.Removed, maillog.Qmgr, id)
	}
}

// logRecipient writes the line for a recipient of an attempt. Its id is that of the message,
// also where the queue has several entries for it: all lines of a message are found by one id.
func (c *Courier) logRecipient(e *storage.QueueEntry, i int, a *queue.Attempt, status string) {
	to, res, daemon := &e.Recipients[i], &a.Results[i], maillog.SMTP
	relay := cmp.Or(res.Peer, a.Peer, "none")
	if a.Final {
		relay, daemon = "local", maillog.Local
	}
	facts := [11]slog.Attr{daemon, slog.String("id", e.ID.Message.String()), slog.String("to", to.ForwardPath)}
	line := facts[:3]
	if original := router.OriginalOf(to.ORcpt); original != "" && !strings.EqualFold(original, to.ForwardPath) {
		line = append(line, slog.String("orig_to", original))
	}
	line = append(line, slog.String("relay", relay))
	if a.Uses > 1 {
		line = append(line, slog.Int("conn_use", a.Uses))
	}
	line = append(line, slog.Duration("delay", a.At.Sub(e.Arrival)), slog.String("delays", string(delaysOf(e, a).AppendTo(nil))),
		slog.String("dsn", res.Status), slog.String("status", status), slog.String("reason", oneLine(res.Reason)))
	c.info(maillog.Delivery, line...)
}

// delaysOf divides the time of a delivery as Postfix does. The first part ends when the entry
// fell due, which is its end of data before the first attempt: Postfix moves an entry to its
// active queue then. The clock of the queue may be ahead a little after a start.
func delaysOf(e *storage.QueueEntry, a *queue.Attempt) (d maillog.Delays) {
	began, due := a.Began, e.DueAt()
	if began.IsZero() {
		began = a.At
	}
	if due.IsZero() || due.After(began) { // held, or an operator wanted the attempt before
		due = began
	}
	if due.Before(e.Arrival) {
		due = e.Arrival
	}
	d.Before, d.Queue = due.Sub(e.Arrival), began.Sub(due)
	if a.Handed.IsZero() {
		d.Connection = a.At.Sub(began)
		return d
	}
	d.Connection, d.Transfer = a.Handed.Sub(began), a.At.Sub(a.Handed)
	return d
}

// gone reports whether no entry of a message is left in the queue. A message to several
// destinations has several entries.
func (c *Courier) gone(id storage.MessageID) bool {
	left := false
	err := c.store.Queued(storage.QueueFilter{Message: id, AnyOrder: true}, func(*storage.QueueEntry) bool {
		left = true
		return false
	})
	return err == nil && !left
}

// info logs without looking up the caller's file and line, which slog.Logger does.
func (c *Courier) info(text string, as ...slog.Attr) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, text, 0)
	r.AddAttrs(as...)
	_ = c.log.Handler().Handle(c.ctx, r)
}

// oneLine replaces control characters in a peer's reply by spaces.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
