package engine

import (
	"context"
	"fmt"
	"log/slog"

	"postrider/engine/localmail"
	"postrider/engine/pickup"
	"postrider/storage"
)

var pickupDaemon = slog.String("daemon", "pickup")

// ServeLocalMail takes mail from every user of this machine at the socket at path.
func (srv *Server) ServeLocalMail(path string) (stop func(), err error) {
	return localmail.Serve(path, srv.budget.Bulk, srv.localSubmit)
}

// localSubmit stores a message of a user of this machine.
func (srv *Server) localSubmit(ctx context.Context, m pickup.Mail, reserve func(octets int64) bool) (pickup.Result, error) {
	if srv.draining.Load() {
		return pickup.Result{}, fmt.Errorf("%w: the server is about to end", storage.ErrTemporary)
	}
	p := &pickup.Pickup{
		Inbox: srv.store, Router: srv.router, Hostname: srv.cfg.Server.Hostname, DefaultDomain: srv.cfg.DefaultDomain(),
		MaxSize: srv.cfg.SMTP.MaxSize, MaxRecipients: srv.cfg.SMTP.MaxRecipients, MaxHops: srv.cfg.SMTP.MaxHops, Keys: srv.keys,
		Capture: srv.capture, Reserve: reserve, MaxBacklog: localmail.Backlog,
	}
	result, err := p.Submit(ctx, m)
	switch id := result.Receipt.ID(); {
	case err != nil:
		srv.log.info("message from "+m.Origin+" not stored: "+err.Error(), pickupDaemon)
	case id != 0:
		srv.stats.messages.Add(1)
		srv.log.info(m.Origin+" from=<"+result.Sender+">", pickupDaemon, slog.String("id", id.String()))
	}
	return result, err
}
