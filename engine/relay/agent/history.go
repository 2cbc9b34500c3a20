package agent

import (
	"cmp"
	"strings"
	"time"

	"postrider/engine/host/history"
	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// dialogue has the lines of an attempt for the history.
type dialogue struct {
	lines   []string
	octets  int
	leftOut int
	last    string // the last line, where it is left out
}

// begin returns the dialogue without its lines, for the next attempt; nil begins one.
func (d *dialogue) begin() *dialogue {
	if d == nil {
		return &dialogue{lines: make([]string, 0, 24)}
	}
	clear(d.lines)
	*d = dialogue{lines: d.lines[:0]}
	return d
}

// maxDialogue bounds the octets of a dialogue that are kept.
const maxDialogue = 8 << 10

// add adds a line. The first lines are kept, and the last one.
func (d *dialogue) add(line string) {
	if d.octets += len(line); d.octets > maxDialogue {
		d.leftOut++
		d.last = line
		return
	}
	d.lines = append(d.lines, line)
}

// keepTalk notes for the history what was said to hosts.
func (t *attempt) keepTalk() {
	if t.kept == nil {
		return
	}
	talk := &t.outcome.Talk
	talk.Channel = strings.TrimPrefix(t.channelTo(t.outcome.Peer), ", ")
	if talk.Dialogue, talk.LeftOut = t.kept.lines, t.kept.leftOut; t.kept.last != "" {
		talk.Dialogue = append(talk.Dialogue, t.kept.last)
		talk.LeftOut--
	}
	if len(t.tried) < 2 {
		return
	}
	for _, h := range t.tried {
		talk.Tried = append(talk.Tried, h.host.String()+h.channel+": "+oneLine(h.said))
	}
	for i, h := range t.untried {
		if i == maxNamed || !t.isDeferred() {
			break
		}
		talk.Tried = append(talk.Tried, h.String()+": not tried")
	}
}

// keep adds an attempt to the history, with the result of each recipient.
func (c *Courier) keep(e *storage.QueueEntry, a *queue.Attempt, j *queue.Judgement) {
	h := c.history()
	if !h.On() {
		return
	}
	expired := a.At.Sub(e.Arrival) >= c.rules().Policy.Lifetime
	if a.NotMade && len(j.Settlement.Keep) == len(e.Recipients) {
		return // a delay warning
	}
	ev := h.Begin(history.Attempt, e.ID.Message, a.At)
	ev.Number(history.Part, int64(e.ID.Part))
	ev.Text(history.Domain, e.Domain)
	ev.Text(history.Sender, e.Envelope.ReversePath)
	if !a.NotMade {
		ev.Number(history.Try, int64(j.Settlement.Attempts))
		ev.Time(history.Began, a.Began)
		ev.Time(history.Handed, a.Handed)
	}
	if a.NotMade {
		ev.Text(history.Words, cmp.Or(a.Record, "given up without an attempt"))
	}
	ev.Text(history.Connection, a.Talk.Channel)
	if a.Uses > 1 {
		ev.Number(history.Uses, int64(a.Uses))
	}
	if len(j.Settlement.Keep) > 0 {
		ev.Time(history.Due, j.Settlement.Due)
	}
	for _, line := range a.Talk.Tried {
		ev.Text(history.Tried, line)
	}
	for _, line := range a.Talk.Dialogue {
		ev.Text(history.Line, line)
	}
	ev.Omit(a.Talk.LeftOut)
	addResults(h, ev, e, a, expired)
}

// resultOctets is more than the facts of a result take: two paths, a host and a reason.
const resultOctets = 3000

// addResults adds the recipients with their results, and the event to the history.
func addResults(h *history.Log, ev *history.Event, e *storage.QueueEntry, a *queue.Attempt, expired bool) {
	for i := range e.Recipients {
		ev = h.Room(ev, resultOctets)
		to, res := &e.Recipients[i], &a.Results[i]
		relay := cmp.Or(res.Peer, a.Peer, "none")
		if a.Final {
			relay = "local"
		}
		ev.Text(history.To, to.ForwardPath)
		if original := router.OriginalOf(to.ORcpt); !strings.EqualFold(original, to.ForwardPath) {
			ev.Text(history.Original, original)
		}
		ev.Text(history.Relay, relay)
		ev.Text(history.Status, statusOf(res.Verdict, expired))
		ev.Text(history.DSN, res.Status)
		ev.Text(history.Reason, oneLine(res.Reason))
	}
	h.Add(ev)
}

// statusOf is a result in the word of the log.
func statusOf(v queue.Verdict, expired bool) string {
	switch {
	case v == queue.Delivered:
		return "sent"
	case v == queue.Permanent:
		return "bounced"
	case expired:
		return "expired"
	}
	return "deferred"
}

// keepNotice adds a notification to the history of the message that it is about.
func (c *Courier) keepNotice(about, notice storage.MessageID, kind queue.NoticeKind, to string) {
	h := c.history()
	if !h.On() {
		return
	}
	ev := h.Begin(history.Notified, about, time.Now())
	ev.Text(history.Words, noticeWords[kind])
	ev.Text(history.Other, notice.String())
	ev.Text(history.To, to)
	h.Add(ev)
}

// history is where the history of messages goes; nil: nowhere.
func (c *Courier) history() *history.Log { return c.entrance.Load().History }
