package agent

import (
	"slices"

	"postrider/engine/protocol/trace"
	"postrider/storage"
)

// Follow decides whether a connection to another host is shown to an operator. emit gets the
// lines of the dialogue about a message; nil: it is not shown.
type Follow func(destination, host string, id storage.MessageID) (emit func(line string))

// maxTraces is how many traces there are at once.
const maxTraces = 4

// Trace has follow asked for each transaction, until stop is called. follow must not block,
// and neither must emit. stop is nil if there are too many traces.
func (c *Courier) Trace(follow Follow) (stop func()) {
	c.tracing.Lock()
	defer c.tracing.Unlock()
	var all []*Follow
	if on := c.traces.Load(); on != nil {
		all = *on
	}
	if len(all) >= maxTraces {
		return nil
	}
	all = append(slices.Clone(all), &follow)
	c.traces.Store(&all)
	return func() { c.endTrace(&follow) }
}

// endTrace ends what Trace has begun.
func (c *Courier) endTrace(follow *Follow) {
	c.tracing.Lock()
	defer c.tracing.Unlock()
	all := slices.DeleteFunc(slices.Clone(*c.traces.Load()), func(f *Follow) bool { return f == follow })
	if len(all) == 0 {
		c.traces.Store(nil)
		return
	}
	c.traces.Store(&all)
}

// follow has the dialogue about a message written down if a trace follows it, and for the
// history. While there are none it costs a look at a pointer.
func (p *peer) follow(c *Courier, entry *storage.QueueEntry) {
	p.traced, p.body = p.traced[:0], false
	if p.kept != nil {
		p.kept.add("=== " + p.host.String())
		if p.own == nil {
			p.own = trace.New(trace.SMTP, false, func(line string) { p.kept.add(line) }).Bare()
			if p.tls != nil {
				p.own.Secured()
			}
		}
		p.traced = append(p.traced, p.own)
	}
	if on := c.traces.Load(); on != nil {
		p.followFor(*on, entry)
	}
}

// followFor has the dialogue written down for the traces that follow it.
func (p *peer) followFor(on []*Follow, entry *storage.QueueEntry) {
	var emits []func(string)
	for _, follow := range on {
		if emit := (*follow)(entry.Domain, p.host.Name, entry.ID.Message); emit != nil {
			emits = append(emits, emit)
		}
	}
	if len(emits) == 0 {
		return
	}
	emit := func(line string) {
		for _, f := range emits {
			f(line)
		}
	}
	emit("=== message for " + entry.Domain + " to " + p.host.Name + "[" + p.host.Addr.String() + "]")
	d := trace.New(trace.SMTP, false, emit)
	if p.tls != nil {
		d.Secured()
	}
	p.traced = append(p.traced, d)
}

// write writes to the host.
func (p *peer) write(out []byte) error {
	for _, d := range p.traced {
		d.Sent(out, p.body)
	}
	_, err := p.conn.Write(out)
	return err
}

// heard writes down what the host has written.
func (p *peer) heard(in []byte) {
	for _, d := range p.traced {
		d.Server(in)
	}
}
