package server

import (
	"context"
	"fmt"
	"net"

	"postrider/engine/front/localmail"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/storage"
)

// ServeLocalMail takes mail from every user of this machine at a socket of localmail.Listen.
func (srv *Server) ServeLocalMail(l *net.UnixListener) (end func(context.Context)) {
	return localmail.Serve(l, srv.budget.Bulk, srv.localSubmit)
}

// localSubmit stores a message of a user of this machine.
func (srv *Server) localSubmit(ctx context.Context, m incoming.Mail, reserve func(octets int64) bool) (incoming.Result, error) {
	if srv.draining.Load() {
		return incoming.Result{}, fmt.Errorf("%w: %w", storage.ErrTemporary, localmail.ErrEnding)
	}
	in := *srv.entrance.Load()
	in.Reserve, in.MaxBacklog = reserve, localmail.Backlog
	result, err := in.Submit(ctx, m)
	switch {
	case err != nil:
		srv.log.Info("message from "+m.Origin+" not stored: "+err.Error(), maillog.Pickup)
	case result.Receipt.ID() != 0:
		srv.countSubmitted(result)
	}
	return result, err
}

// countSubmitted counts a message that did not come by SMTP.
func (srv *Server) countSubmitted(r incoming.Result) {
	srv.stats.messages.Add(1)
	srv.smtpsrv.Stats.Deliveries.Add(int64(r.Deliveries))
	srv.smtpsrv.Stats.OctetsIn.Add(r.Size)
}
