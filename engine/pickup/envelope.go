package pickup

import (
	"fmt"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/router"
	"postrider/storage"
)

// envelope is where a message comes from and where its recipients are.
type envelope struct {
	reverse string
	paths   []string // the forward-paths, each once
	targets []router.Target
	relayed []*storage.QueueEntry
	domains map[string]*storage.QueueEntry // relayed
	refused []Refusal
}

// envelope reads the addresses of m and finds out where they lead.
func (p *Pickup) envelope(m *Mail, header []byte) (*envelope, error) {
	if m.At.IsZero() {
		m.At = time.Now()
	}
	reverse, err := reversePath(m.Sender, p.DefaultDomain)
	if err != nil {
		return nil, err
	}
	addresses := m.Recipients
	if m.FromHeader {
		found, err := addressed(header)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses[:len(addresses):len(addresses)], found...)
	}
	if len(addresses) == 0 {
		return nil, ErrNoRecipients
	}
	if p.MaxRecipients > 0 && len(addresses) > p.MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients are more than %d (smtp.max_recipients)", storage.ErrInvalid, len(addresses), p.MaxRecipients)
	}
	e := &envelope{reverse: reverse.String(), domains: make(map[string]*storage.QueueEntry)}
	utf8 := reverse.NeedsUTF8()
	met := make(map[[2]string]bool)
	for _, a := range addresses {
		path, err := forwardPath(a, p.DefaultDomain)
		if err != nil {
			return nil, err
		}
		key := [2]string{string(path.Local()), router.Fold(string(path.Domain()))}
		if met[key] {
			continue
		}
		met[key] = true
		e.paths = append(e.paths, path.String())
		utf8 = utf8 || path.NeedsUTF8()
		e.place(p.Router, path, m.Notify)
	}
	for _, q := range e.relayed {
		// A header beyond ASCII alone does not ask for SMTPUTF8: most hosts take such
		// mail, and to return it would help nobody.
		q.Envelope = storage.Envelope{ReversePath: e.reverse, EnvID: m.EnvID, Ret: m.Ret, SMTPUTF8: utf8, Origin: m.Origin}
	}
	return e, nil
}

// place puts a recipient where it belongs: into maildrops, into the queue entry of
// its domain, or among those refused.
func (e *envelope) place(r *router.Router, path smtp.ForwardPath, notify smtp.Notify) {
	var outcome router.Outcome
	e.targets, outcome = r.Route(path.Local(), path.Domain(), e.targets)
	switch outcome {
	case router.Local:
	case router.NotOurs:
		e.relay(router.Fold(string(path.Domain())), storage.QueuedRecipient{ForwardPath: path.String(), Notify: notify})
	default:
		e.refused = append(e.refused, Refusal{path.String(), outcome})
	}
}

// relay puts a recipient into the queue entry of a domain.
func (e *envelope) relay(domain string, r storage.QueuedRecipient) {
	q := e.domains[domain]
	if q == nil {
		q = &storage.QueueEntry{Domain: domain}
		e.domains[domain] = q
		e.relayed = append(e.relayed, q)
	}
	q.Recipients = append(q.Recipients, r)
}

// maildrops are the recipients here with their trace fields: the Return-Path
// everywhere, Delivered-To where an alias was expanded.
func (e *envelope) maildrops(front string) (rs []storage.Recipient) {
	for _, t := range e.targets {
		trace := message.AppendReturnPath(nil, []byte(e.reverse))
		if t.Expanded != "" {
			trace = message.AppendDeliveredTo(trace, []byte(t.Expanded))
		}
		rs = append(rs, storage.Recipient{Account: t.Account, Trace: append(trace, front...)})
	}
	return rs
}
