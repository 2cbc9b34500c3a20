package engine

import (
	"context"
	"log/slog"
	"strconv"

	"postrider/codec/smtp"
	"postrider/engine/localmail"
	"postrider/engine/pickup"
	"postrider/storage"
)

var pickupDaemon = slog.String("daemon", "pickup")

// ServeLocalMail takes mail from every user of this machine at the socket at path.
func (srv *Server) ServeLocalMail(path string) (stop func(), err error) {
	return localmail.Serve(path, srv.localSubmit)
}

// localSubmit stores a message of a user of this machine.
func (srv *Server) localSubmit(ctx context.Context, m pickup.Mail, l localmail.Letter) (pickup.Result, error) {
	if srv.draining.Load() {
		return pickup.Result{}, storage.ErrTemporary
	}
	m.Notify, m.Ret = smtp.Notify(l.Notify), smtp.Ret(l.Ret)
	p := &pickup.Pickup{
		Inbox: srv.store, Router: srv.router, Hostname: srv.cfg.Server.Hostname, DefaultDomain: srv.cfg.DefaultDomain(),
		MaxSize: srv.cfg.SMTP.MaxSize, MaxRecipients: srv.cfg.SMTP.MaxRecipients, MaxHops: srv.cfg.SMTP.MaxHops, Keys: srv.keys,
	}
	result, err := p.Submit(ctx, m)
	if id := result.Receipt.ID(); err == nil && id != 0 {
		srv.stats.messages.Add(1)
		srv.log.info(m.Origin+" from=<"+m.Sender+">, refused="+strconv.Itoa(len(result.Refused)), pickupDaemon, slog.String("id", id.String()))
	}
	return result, err
}
