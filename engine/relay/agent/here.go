package agent

import (
	"errors"
	"io"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
	"postrider/storage"
)

// deliverHere delivers an entry to maildrops of this host. A local recipient is in the queue
// if its sender asked for a success notification, if its domain was added after the
// message came, or if an alias has a member without a mailbox, which then fails here. The
// entry is settled after the delivery, so a crash in between repeats the delivery.
func (c *Courier) deliverHere(e *storage.QueueEntry, a *queue.Attempt) queue.HostVerdict {
	a.Final = true
	head, err := c.head(e)
	if err != nil {
		fail(a, err)
		return queue.HostUnknown
	}
	m := c.entrance.Load().New(e.Envelope.ReversePath)
	m.Places.Been = head.DeliveredTo
	var taken []int
	for i := range e.Recipients {
		to := &e.Recipients[i]
		rcpt, refused := smtp.ParseRcpt([]byte("TO:<"+to.ForwardPath+">"), 0, true)
		if refused != nil { // sendmail was given such a recipient
			a.Results[i] = queue.Result{Verdict: queue.Permanent, Status: "5.1.3", Reason: "not a mail address: " + to.ForwardPath}
			continue
		}
		// The caller sends the success notification, after the delivery.
		rcpt.ORcpt, rcpt.Notify = []byte(to.ORcpt), to.Notify.WithoutSuccess()
		outcome := m.Recipient(&rcpt)
		if outcome != router.Local {
			a.Results[i] = c.notHere(outcome, to.ForwardPath)
			continue
		}
		taken = append(taken, i)
	}
	if len(taken) == 0 {
		return queue.HostUnknown
	}
	err = c.copyBody(m, e)
	for _, i := range taken {
		a.Results[i] = queue.Result{Verdict: queue.Delivered, Status: "2.0.0", Reason: "delivered to maildrop"}
		if err != nil {
			a.Results[i] = c.notDelivered(err)
		}
	}
	return queue.HostUnknown
}

// notDelivered is the result for a maildrop that did not get its copy.
func (c *Courier) notDelivered(err error) queue.Result {
	switch {
	case !errors.Is(err, storage.ErrOverQuota):
		return notStored(err)
	case c.rules().OverQuotaFails:
		return queue.Result{Verdict: queue.Permanent, Status: "5.2.2", Reason: "mailbox full"}
	}
	return queue.Result{Verdict: queue.Temporary, Status: "4.2.2", Reason: "mailbox full"}
}

// notHere is the result for a recipient without a maildrop.
func (c *Courier) notHere(outcome router.Outcome, path string) queue.Result {
	res := queue.Result{Verdict: queue.Permanent, Status: "5.1.1", Reason: "unknown user: " + path}
	switch outcome {
	case router.Loop:
		res.Status, res.Reason = "5.4.6", "alias loop: "+path+" leads back to itself or to too many addresses"
	case router.ForwardLoop:
		res.Status, res.Reason = "5.4.6", "mail forwarding loop for "+path
	case router.Full:
		return c.notDelivered(storage.ErrOverQuota)
	case router.Disabled:
		res.Status, res.Reason = "5.2.1", "mailbox disabled: "+path
	}
	return res
}

func notStored(err error) queue.Result {
	return queue.Result{Verdict: queue.Temporary, Status: "4.3.0", Reason: "not stored: " + err.Error()}
}

// fail ends an attempt whose message can't be read.
func fail(a *queue.Attempt, err error) {
	for i := range a.Results {
		a.Results[i] = notStored(err)
	}
}

// head reads the header of an entry's message.
func (c *Courier) head(e *storage.QueueEntry) (*message.Head, error) {
	m, err := c.store.OpenQueued(e)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	head := new(message.Head)
	for !head.Done() {
		piece, err := m.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		head.Feed(piece)
	}
	return head, nil
}

// copyBody delivers a copy of an entry's message.
func (c *Courier) copyBody(m *incoming.Message, e *storage.QueueEntry) error {
	body, err := c.store.OpenQueued(e)
	if err != nil {
		return err
	}
	defer body.Close()
	envelope := e.Envelope
	envelope.Front = "" // the copy has these fields already
	_, err = m.Copy(c.ctx, body, e.ID.Message, &incoming.End{Envelope: envelope, Size: e.Size()})
	return err
}
