package router

import (
	"slices"
	"strings"
	"unsafe"

	"postrider/codec/address"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/storage"
)

// Placement gathers where the recipients of one message go: to maildrops, each once,
// and into the queue, one entry for each destination, and for each alias that leads
// there: its Delivered-To is before the message (see storage.Envelope.Front). Reset it
// for the next message.
type Placement struct {
	// Been reports whether the message has been at an address already, by its Delivered-To
	// fields (message.Head.DeliveredTo); nil: they are not known, or there are none.
	Been func(address []byte) bool

	// NoSuccess: NOTIFY=SUCCESS is ignored.
	NoSuccess bool

	// Targets are the maildrops.
	Targets []Target
	// Relayed are the queue entries; their Envelope is the caller's to fill in. They
	// are not used again after Reset.
	Relayed []*storage.QueueEntry

	places map[string]*storage.QueueEntry // entries of Relayed, by address.Key and by @destination; nil: none
	octets int                            // size of Relayed, and of the own strings of Targets
	far    bool                           // an alias leads to a mailbox elsewhere
	wished bool                           // NOTIFY=SUCCESS was passed over
	asked  map[string]string              // ORCPT of recipients that have no queue entry, by address.Key; nil: none
}

// Reset empties p and keeps the memory of Targets.
func (p *Placement) Reset() { *p = Placement{Targets: p.Targets[:0]} }

// Add routes one recipient and places it. mayRelay: mail for other domains is taken;
// otherwise the outcome NotOurs places nothing. rcpt is borrowed for the call.
func (p *Placement) Add(r *Router, rcpt *smtp.RcptArgs, mayRelay bool) Outcome {
	before := len(p.Targets)
	if p.NoSuccess && rcpt.Notify&smtp.NotifySuccess != 0 {
		p.wish(rcpt)
		plain := *rcpt
		plain.Notify = rcpt.Notify.WithoutSuccess()
		rcpt = &plain
	}
	targets, dead, o := r.resolve(rcpt.To.Local(), rcpt.To.Domain(), p.Targets, p.Been)
	p.Targets = targets
	if o == Local {
		dead, o = p.refuse(before, dead)
	}
	if o == Local && slices.ContainsFunc(targets[before:], Target.isFar) {
		p.far = true
		p.ask(rcpt)
	}
	switch {
	case o == Local && rcpt.Notify&smtp.NotifySuccess != 0:
		// A notification of success goes by way of the queue: there the
		// notification is as durable as the message.
		p.Targets = p.Targets[:before]
		p.relay(r.Domain(rcpt.To.Domain()), "", rcpt.To.String(), string(rcpt.ORcpt), rcpt.Notify)
	case o == Local:
		p.splitRemote(before, rcpt)
		// The sender is notified of members without a mailbox by way of the queue too: the
		// attempt to deliver there fails, with a notification and a line in the log.
		for _, d := range dead {
			p.relay(d.Domain, "", d.Mailbox, original(rcpt), rcpt.Notify)
		}
	case o == NotOurs && mayRelay:
		p.relay(r.Domain(rcpt.To.Domain()), "", rcpt.To.String(), string(rcpt.ORcpt), rcpt.Notify)
	}
	p.name(before, rcpt)
	return o
}

// name notes which recipient was asked for at the maildrops that were added by way of an
// alias.
func (p *Placement) name(from int, rcpt *smtp.RcptArgs) {
	asked := ""
	for i := range p.Targets[from:] {
		t := &p.Targets[from+i]
		if t.Expanded == "" {
			continue
		}
		if asked == "" {
			asked = rcpt.To.String()
			p.octets += len(asked)
		}
		t.Asked = asked
		p.octets += len(t.Expanded)
	}
}

// refuse takes out the accounts that take no mail, and those without room for any. A
// recipient that leads to nothing else has their outcome. As members of an alias they are
// dead: delivery is tried by way of the queue.
func (p *Placement) refuse(from int, dead []Dead) ([]Dead, Outcome) {
	kept, o := p.Targets[:from], Local
	for _, t := range p.Targets[from:] {
		why := Disabled
		switch {
		case !t.Refused && !t.Full:
			kept = append(kept, t)
			continue
		case !t.Refused:
			why = Full
		}
		if o != Full { // Full may pass, and so counts more than Disabled
			o = why
		}
		_, domain := cut(t.Expanded)
		dead = append(dead, Dead{t.Expanded, domain, why})
	}
	if o == Local || len(kept) > from {
		p.Targets = kept
		return dead, Local
	}
	p.Targets = kept
	return nil, o
}

// Return puts a recipient that has no mailbox here, or no address that can be read, into
// the queue under domain, which is one of ours. The attempt to deliver there fails, and
// so the sender is told.
func (p *Placement) Return(domain, path string, notify smtp.Notify) {
	p.relay(domain, "", path, "", notify)
}

// These are the sizes of a queue entry and of a recipient in one without their texts,
// but with their place in the map.
const (
	entryOctets     = 512
	recipientOctets = 256
)

// Octets is how much memory the places take, about: what a caller books.
func (p *Placement) Octets() int {
	return p.octets + cap(p.Targets)*int(unsafe.Sizeof(Target{}))
}

// isFar reports whether t is a mailbox elsewhere.
func (t Target) isFar() bool { return t.Remote != "" }

// splitRemote takes the mailboxes elsewhere, to which an alias led, out of the
// maildrops that were added.
func (p *Placement) splitRemote(from int, rcpt *smtp.RcptArgs) {
	kept := p.Targets[:from]
	for _, t := range p.Targets[from:] {
		if !t.isFar() {
			kept = append(kept, t)
			continue
		}
		p.relay(t.Domain, t.Expanded, t.Remote, original(rcpt), rcpt.Notify)
	}
	p.Targets = kept
}

// original is the ORCPT of a recipient that is sent on under another name (RFC 3461
// section 5.2.7.1).
func original(rcpt *smtp.RcptArgs) string {
	if len(rcpt.ORcpt) > 0 {
		return string(rcpt.ORcpt)
	}
	was := rcpt.To.String()
	if rcpt.To.NeedsUTF8() {
		if was = address.Key(was); !address.IsDNS(was) {
			return "" // xtext has no letters beyond ASCII
		}
	}
	return string(smtp.AppendXtext([]byte("rfc822;"), []byte(was)))
}

// relay adds a recipient to the entry of its destination, once. alias is the address of
// the alias that sends the message there; "": none.
func (p *Placement) relay(domain, alias, path, original string, notify smtp.Notify) {
	if p.places == nil {
		p.places = make(map[string]*storage.QueueEntry)
	}
	key := address.Key(path)
	if p.places[key] != nil {
		return
	}
	destination := "@" + domain + " " + alias // no mailbox begins with it
	e := p.places[destination]
	if e == nil {
		e = &storage.QueueEntry{Domain: domain}
		if alias != "" {
			e.Envelope.Front = string(message.AppendDeliveredTo(nil, []byte(alias)))
		}
		p.Relayed = append(p.Relayed, e)
		p.places[destination] = e
		p.octets += entryOctets + 2*len(domain) + 2*len(alias)
	}
	p.places[key] = e
	p.octets += recipientOctets + len(key) + len(path) + len(original)
	e.Recipients = append(e.Recipients, storage.QueuedRecipient{ForwardPath: path, ORcpt: original, Notify: notify})
}

// Seal gives all queue entries the envelope of their message. The Front of e is before
// the message everywhere, after the Delivered-To of the entry's own.
func (p *Placement) Seal(e storage.Envelope) {
	for _, q := range p.Relayed {
		front := q.Envelope.Front
		q.Envelope = e
		q.Envelope.Front = front + e.Front
	}
}

// OriginalOf is the address of an ORCPT parameter, "rfc822;xtext"; empty for none, and for
// an address of another type.
func OriginalOf(orcpt string) string {
	kind, text, ok := strings.Cut(orcpt, ";")
	if !ok || !strings.EqualFold(kind, "rfc822") {
		return ""
	}
	return string(smtp.AppendXtextDecoded(nil, []byte(text)))
}
