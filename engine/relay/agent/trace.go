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

// follow has the dialogue about a message written down if a trace follows it. While there is
// no trace it costs a look at a pointer.
func (p *peer) follow(c *Courier, entry *storage.QueueEntry) {
	p.traced, p.body = nil, false
	on := c.traces.Load()
	if on == nil {
		return
	}
	var emits []func(string)
	for _, follow := range *on {
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
	p.traced = trace.New(trace.SMTP, false, emit)
	if p.tls != nil {
		p.traced.Secured()
	}
}

// write writes to the host.
func (p *peer) write(out []byte) error {
	if p.traced != nil {
		p.traced.Sent(out, p.body)
	}
	_, err := p.conn.Write(out)
	return err
}
