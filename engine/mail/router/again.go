package router

import (
	"slices"

	"postrider/codec/address"
	"postrider/codec/smtp"
	"postrider/storage"
)

// Forwards reports whether an alias among the recipients leads to a mailbox elsewhere: then
// the message may be in a loop, and it matters where it has been.
func (p *Placement) Forwards() bool { return p.far }

// WantsSuccess reports whether NOTIFY=SUCCESS was ignored because of NoSuccess.
func (p *Placement) WantsSuccess() bool { return p.wished }

// Successes is the number of queue entries with a local recipient whose success the
// sender is notified of: each causes a notification.
func (p *Placement) Successes() (n int) {
	for _, e := range p.Relayed {
		if slices.ContainsFunc(e.Recipients, func(r storage.QueuedRecipient) bool { return r.Notify&smtp.NotifySuccess != 0 }) {
			n++
		}
	}
	return n
}

// wish notes that a recipient would have NOTIFY=SUCCESS, and books what it would take.
func (p *Placement) wish(rcpt *smtp.RcptArgs) {
	p.wished = true
	p.ask(rcpt)
	p.octets += entryOctets + recipientOctets + 2*(len(rcpt.To.Local())+len(rcpt.To.Domain())) + len(rcpt.ORcpt)
}

// Again places all recipients again, when Been or NoSuccess has changed. They were added
// before, and their ORCPT need not be in rcpts any more. An alias that has sent the
// message elsewhere before is put into the queue under its own address: the attempt to
// deliver it there fails, and so the sender is told. looped is how many recipients were
// only such aliases. A recipient that does not exist any more is treated likewise.
func (p *Placement) Again(r *Router, rcpts []smtp.RcptArgs, mayRelay bool) (looped int) {
	old := *p
	*p = Placement{Targets: old.Targets[:0], Been: old.Been, NoSuccess: old.NoSuccess}
	for i := range rcpts {
		rcpt := rcpts[i]
		rcpt.ORcpt = old.original(&rcpt)
		domain := r.Domain(rcpt.To.Domain())
		switch p.Add(r, &rcpt, mayRelay) {
		case Local:
			continue
		case NotOurs:
			if mayRelay {
				continue
			}
			domain = r.set.Load().DefaultDomain // this entry is not to leave
		case ForwardLoop:
			looped++
		}
		notify := rcpt.Notify
		if p.NoSuccess {
			notify = notify.WithoutSuccess()
		}
		p.relay(domain, "", rcpt.To.String(), string(rcpt.ORcpt), notify)
	}
	return looped
}

// ask keeps the ORCPT of a recipient that has no queue entry with it.
func (p *Placement) ask(rcpt *smtp.RcptArgs) {
	if len(rcpt.ORcpt) == 0 {
		return
	}
	if p.asked == nil {
		p.asked = make(map[string]string)
	}
	key := address.Key(rcpt.To.String())
	if _, has := p.asked[key]; !has {
		p.asked[key] = string(rcpt.ORcpt)
		p.octets += recipientOctets + len(key) + len(rcpt.ORcpt)
	}
}

// original is the ORCPT that a recipient was added with.
func (p *Placement) original(rcpt *smtp.RcptArgs) []byte {
	path := rcpt.To.String()
	key := address.Key(path)
	if text, has := p.asked[key]; has {
		return []byte(text)
	}
	e := p.places[key]
	if e == nil || e.Envelope.Front != "" {
		return nil // an alias led there first, and with its own ORCPT
	}
	for i := range e.Recipients {
		if to := &e.Recipients[i]; address.Key(to.ForwardPath) == key {
			return []byte(to.ORcpt)
		}
	}
	return nil
}
