package server

import (
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/mail/incoming"
)

// conversions is how many binary messages are converted at once, maxConversions how many
// more may wait for that.
const (
	conversions    = 2
	maxConversions = 256
)

// maxHeld is the longest header that is looked at. It is a part of the window, as is what
// a draft that is converted has in memory.
const maxHeld = budget.LargeWindow / 4

// newEntrance is where all messages come in by a configuration. srv.keys and srv.capture
// have to be there.
func (srv *Server) newEntrance(c *config.Config) *incoming.Entrance {
	return &incoming.Entrance{
		Inbox: srv.store, Drafts: srv.store, Router: srv.router, Keys: srv.keys, Capture: srv.capture,
		Hostname: c.Server.Hostname, DefaultDomain: c.DefaultDomain(),
		MaxSize: c.SMTP.MaxSize, MaxRecipients: c.SMTP.MaxRecipients, MaxHops: c.SMTP.MaxHops, MaxHeld: maxHeld,
		CompleteHeader: c.Relay.CompleteHeader,
		AnySender:      c.Submission.AnySender, UnsignedForeign: c.Submission.ForeignFrom == config.ForeignFromUnsigned,
		Convert: func(work, full func()) { srv.converters.Submit(step{work, full}) },
		Place:   srv.place, Expect: srv.store.Expect,
		NearQuota: srv.quotas.add,
		Took:      srv.took.commit, Delay: srv.took.delay, Spans: srv.otlp,
		Log: srv.log.Logger,
	}
}

// placers is how many messages have their recipients routed again at once, maxPlacing
// how many more may wait: mail of our own people, and again as much of untrusted clients,
// whose turn comes after it.
const (
	placers    = 2
	maxPlacing = 256
)

// place has a pool route the recipients of a message again.
func (srv *Server) place(last bool, work, full func()) {
	if last {
		srv.placers.SubmitLast(step{work, full})
		return
	}
	srv.placers.Submit(step{work, full})
}

// step is the job of a pool that carries out a step of a message.
type step struct{ carryOut, full func() }

func (s step) Work()     { s.carryOut() }
func (s step) Unqueued() { s.full() }
