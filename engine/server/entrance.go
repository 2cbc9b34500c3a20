package server

import (
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/mail/incoming"
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
		Convert: srv.convert, Place: srv.place, Expect: srv.store.Expect,
		NearQuota: srv.quotas.add,
		Took:      srv.took.commit, Delay: srv.took.delay, Spans: srv.otlp,
		Log: srv.log.Logger, History: srv.history,
	}
}
