package agent

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"postrider/codec/dot"
	"postrider/codec/dsn"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// retryRecord is the pause after a failed write of an outcome.
const retryRecord = time.Second

// record stores a judgement, and returns once it is on the disk. Until then the message is
// in the queue and would be sent again. record gives up when the store is closed or has
// failed; then the next process sends the message again.
func (c *Courier) record(j queue.Judgement) {
	for logged := false; ; {
		err := c.tryRecord(&j)
		if err == nil || errors.Is(err, storage.ErrFenced) {
			return
		}
		if errors.Is(err, storage.ErrFailed) || errors.Is(err, storage.ErrClosed) || c.ctx.Err() != nil {
			return
		}
		if !logged {
			logged = true
			c.log.Error("the outcome of a delivery can't be recorded yet; retrying each second", "id", j.Settlement.Entry.ID.String(), "err", err)
		}
		select {
		case <-time.After(retryRecord):
		case <-c.ctx.Done():
		}
	}
}

// tryRecord stores the notifications, and the settlement in one step with the last of them.
func (c *Courier) tryRecord(j *queue.Judgement) error {
	settle := []storage.Settlement{j.Settlement}
	for len(j.Notices) > 0 {
		n := &j.Notices[0]
		var with []storage.Settlement
		if len(j.Notices) == 1 {
			with = settle
		}
		sent, err := c.notify(j.Settlement.Entry, n, with)
		if err != nil {
			return err
		}
		j.Notices = j.Notices[1:]
		if sent && len(with) > 0 {
			return nil
		}
	}
	return c.store.Settle(settle)
}

// doubleBounce is the sender of notifications about notifications, as with Postfix.
const doubleBounce = "double-bounce"

// notify stores a notification, and settle with it. It stores nothing and returns false
// when the notification has no recipient.
func (c *Courier) notify(e *storage.QueueEntry, n *queue.Notice, settle []storage.Settlement) (sent bool, err error) {
	to, from := e.Envelope.ReversePath, ""
	local, _, _ := strings.Cut(to, "@")
	double := to == ""
	switch {
	case local == doubleBounce, double && (n.Kind != queue.Failed || c.rules().DropDoubleBounces):
		return false, c.dropNotice(e, n)
	case double:
		to, from = "postmaster@"+c.rules().DefaultDomain, doubleBounce+"@"+c.rules().Hostname
	}
	m := c.address(to, from)
	if m == nil {
		if double {
			return false, c.dropNotice(e, n)
		}
		// The sender has no account here, or is not an address: use the postmaster.
		double, to, from = true, "postmaster@"+c.rules().DefaultDomain, doubleBounce+"@"+c.rules().Hostname
		if !c.rules().DropDoubleBounces {
			m = c.address(to, from)
		}
		if m == nil {
			return false, c.dropNotice(e, n)
		}
	}
	report, err := c.report(e, n, to, double)
	if err != nil {
		return false, err
	}
	stored, err := m.Write(c.ctx, &incoming.From{About: e.ID.Message, Received: message.Received{Host: c.rules().Hostname, With: "local"}}, dsn.Append(nil, report), &incoming.End{
		Envelope: storage.Envelope{Origin: "notification of this host", SMTPUTF8: report.NeedsUTF8(), Body: smtp.Body8BitMIME}, Settle: settle,
	})
	if err != nil {
		return false, err
	}
	c.Stats.Notices.Add(1)
	c.keepNotice(e.ID.Message, stored.ID(), n.Kind, to)
	if double {
		c.log.Warn("mail that can't be delivered or returned goes to the postmaster"+c.unreadPostmaster(), "id", e.ID.Message.String(), "to", to)
	}
	c.log.LogAttrs(c.ctx, slog.LevelInfo, noticeWords[n.Kind]+": "+stored.ID().String(), maillog.Bounce, slog.String("id", e.ID.Message.String()))
	return true, nil
}

var noticeWords = map[queue.NoticeKind]string{
	queue.Failed: "sender non-delivery notification", queue.Delayed: "sender delay notification",
	queue.Relayed: "sender delivery status notification", queue.Succeeded: "sender delivery status notification",
}

// unreadPostmaster returns a hint when the postmaster's account has no password, such as
// the account that the server makes. Else it returns "".
func (c *Courier) unreadPostmaster() string {
	at, err := c.store.Lookup("postmaster", c.rules().DefaultDomain)
	if err != nil || at.Account == 0 {
		return ""
	}
	a, err := c.store.Account(at.Account)
	if err != nil || a.Hash != "" || a.Secret != "" {
		return ""
	}
	return `, whose account has no password: set one with "postrider account passwd postmaster@` + a.Domain + `", or redirect the address with "postrider alias add" while the account has no mail`
}

// dropNotice drops a notification.
func (c *Courier) dropNotice(e *storage.QueueEntry, n *queue.Notice) error {
	if n.Kind == queue.Failed {
		c.Stats.Dropped.Add(1)
		c.log.Warn("a notification could not be delivered and is dropped", "id", e.ID.Message.String(), "from", e.Envelope.ReversePath)
	}
	return nil
}

// address begins a notification. It returns nil when the address has no recipient.
func (c *Courier) address(to, from string) *incoming.Message {
	rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to+">"), 0, true)
	if refused != nil {
		return nil
	}
	// NOTIFY=NEVER is not set: a failed notification has to come back here, for the
	// postmaster (see notify). Other hosts don't answer, because the reverse-path is null.
	m := c.entrance.Load().New(from)
	if o := m.Recipient(&rcpt); o != router.Local && o != router.NotOurs {
		return nil
	}
	return m
}

// report makes the text of a notification.
func (c *Courier) report(e *storage.QueueEntry, n *queue.Notice, to string, double bool) (*dsn.Report, error) {
	whole := dsn.Whole(e.Envelope.Ret, kindOf[n.Kind], e.Size(), c.rules().ReturnSize)
	bare := e.Envelope.Stranger && (n.Kind == queue.Succeeded || n.Kind == queue.Relayed)
	var original []byte
	if !bare {
		var err error
		original, err = c.original(e, whole)
		if err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
	}
	now := time.Now()
	r := &dsn.Report{
		ReportingMTA: c.rules().Hostname, To: to, DoubleBounce: double, Now: now,
		MessageID: fmt.Sprintf("%s.%d@%s", e.ID, now.UnixNano(), c.rules().Hostname),
		QueueID:   e.ID.String(), EnvID: e.Envelope.EnvID, Arrival: e.Arrival,
		LifetimeEnd: e.Arrival.Add(c.rules().Policy.Lifetime), UTF8: e.Envelope.SMTPUTF8,
		Original: original, WholeMessage: whole, Bare: bare,
	}
	for i := range n.Recipients {
		from := &n.Recipients[i]
		to := dsn.Recipient{
			Final: from.ForwardPath, ORcpt: from.ORcpt, Action: kindOf[n.Kind], Status: from.Result.Status,
			RemoteMTA: from.Remote, Diagnostic: from.Diagnostic, DiagnosticType: dsn.TypeSMTP, Reason: from.Result.Reason,
			LastAttempt: r.Now,
		}
		if to.Diagnostic == "" {
			to.Diagnostic, to.DiagnosticType = from.Result.Reason, dsn.TypePostrider
		}
		r.Recipients = append(r.Recipients, to)
	}
	return r, nil
}

var kindOf = map[queue.NoticeKind]dsn.Kind{
	queue.Failed: dsn.Failure, queue.Delayed: dsn.Delay, queue.Relayed: dsn.Relayed, queue.Succeeded: dsn.Success,
}

// maxHeader bounds how much original reads of a message to find its header.
const maxHeader = 64 << 10

// original reads the message that a notification is about, or its header, in plain form.
func (c *Courier) original(e *storage.QueueEntry, whole bool) ([]byte, error) {
	m, err := c.store.OpenQueued(e)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var text []byte
	var plain dot.Unstuffer
	for whole || len(text) < maxHeader {
		piece, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		text = plain.Append(text, piece)
	}
	if whole {
		return text, nil
	}
	return dsn.HeaderOf(text), nil
}
