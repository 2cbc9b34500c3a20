package agent

import (
	"log/slog"
	"strconv"
	"strings"
	"time"

	"postrider/engine/relay/queue"
	"postrider/storage"
)

var smtpAgent = slog.String("daemon", "smtp")

// logAttempt writes a line for each recipient of an attempt, in the form of Postfix's log,
// and counts.
func (c *Courier) logAttempt(e *storage.QueueEntry, a *queue.Attempt, j *queue.Judgement) {
	expired := a.At.Sub(e.Arrival) >= c.settings.Policy.Lifetime
	on := c.log.Enabled(c.ctx, slog.LevelInfo)
	id := slog.String("id", e.ID.String())
	for i := range e.Recipients {
		res := &a.Results[i]
		status := "deferred"
		switch {
		case res.Verdict == queue.Delivered:
			status = "sent"
			c.Stats.Sent.Add(1)
		case res.Verdict == queue.Permanent:
			status = "bounced"
			c.Stats.Bounced.Add(1)
		case expired:
			status = "expired"
			c.Stats.Expired.Add(1)
		case a.NotMade:
			continue // a delay warning without an attempt
		default:
			c.Stats.Deferred.Add(1)
		}
		if !on {
			continue
		}
		peer := res.Peer
		if peer == "" {
			peer = a.Peer
		}
		if peer == "" {
			peer = "none"
		}
		c.info("to=<"+e.Recipients[i].ForwardPath+">, relay="+peer+", delay="+seconds(a.At.Sub(e.Arrival))+
			", dsn="+res.Status+", status="+status+" ("+oneLine(res.Reason)+")", smtpAgent, id)
	}
	if on && len(j.Settlement.Keep) == 0 && c.gone(e.ID.Message) {
		c.info("removed", smtpAgent, id)
	}
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

func seconds(d time.Duration) string {
	return strconv.FormatFloat(max(d, 0).Seconds(), 'g', 3, 64)
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
