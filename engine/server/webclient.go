package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"

	"postrider/codec/address"
	"postrider/engine/config"
	"postrider/engine/front/web"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// spoolFolder is where the web client keeps uploads, in the data directory.
const spoolFolder = "web-spool"

// WebClient makes the handler of the web client, which logs in and sends by the same rules
// as SMTP. Its requests run on goroutines of net/http, which may wait.
func (srv *Server) WebClient(log *slog.Logger) (http.Handler, error) {
	made, err := web.New(srv.webConfig(srv.config(), log))
	if err != nil {
		return nil, err
	}
	srv.web = made
	return made, nil
}

// webConfig is what the web client goes by.
func (srv *Server) webConfig(c *config.Config, log *slog.Logger) web.Config {
	return web.Config{
		Store: srv.store, Login: srv.door.SignIn, Submit: srv.webSubmit, Addresses: srv.addressesOf,
		DefaultDomain: c.DefaultDomain(), Hostname: c.Server.Hostname, Spool: filepath.Join(c.Server.Data, spoolFolder), MaxSize: c.SMTP.MaxSize,
		ClearText: c.Auth.ClearText, TLSOnly: demandsCertificates(c),
		Idle: c.Web.SessionIdle, Lifetime: c.Web.SessionLifetime,
		Bounds: srv.webBounds(), Log: log.With(maillog.Web), History: srv.history,
	}
}

// webBounds are the bounds of the web client and of the view of captured mail. Each client
// that can connect may read captured mail, so the name that a request gives always counts.
func (srv *Server) webBounds() web.Bounds {
	return web.Bounds{Hosts: srv.webHosts(), Proxies: srv.config().Web.Proxies, Budget: srv.budget.Pages, Activity: srv.activity}
}

func (srv *Server) webHosts() web.Hosts {
	return web.Hosts{Names: append([]string{srv.config().Server.Hostname}, srv.config().Web.Hosts...), Always: srv.capture != 0}
}

// WebTLS is the configuration of web.listen_tls, for all of its connections: each is served
// by what counts when it comes.
func (srv *Server) WebTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if m := srv.tls.Load(); m != nil {
			return m.Configs().HTTPS, nil
		}
		return nil, errNoTLS
	}}
}

// errNoTLS is the error of a connection to web.listen_tls that came as TLS was turned off.
var errNoTLS = errors.New("this server has no certificate any more")

// webSubmit sends a message of an account by the rules of submission: under its own
// addresses, within its allowance, completed, signed, and stored in one step.
func (srv *Server) webSubmit(ctx context.Context, account storage.Account, m incoming.Mail) (incoming.Result, error) {
	// While the server drains, what is being sent is still taken: the store closes after
	// the last request.
	if !srv.door.IsUnchanged(&account) {
		return incoming.Result{}, errExpired
	}
	if !srv.config().Submission.AnySender && !srv.router.Owns(account.ID, m.Sender) {
		return incoming.Result{}, fmt.Errorf("%w: %s is not an address of yours", web.ErrRefused, m.Sender)
	}
	b, err := srv.book(account.ID, len(m.Recipients))
	if err != nil {
		return incoming.Result{}, err
	}
	m.Daemon, m.Line = maillog.Web, m.Origin
	m.Door, m.Account = "web", router.Mailbox(account.Name, account.Domain)
	result, err := srv.entrance.Load().Submit(ctx, m)
	if id := result.Receipt.ID(); err == nil && id != 0 {
		b.Refused(len(result.Refused))
		srv.countSubmitted(result)
		return result, nil
	}
	b.Cancel()
	return result, err
}

// errExpired is what the web client tells when the password was changed while a message
// was on its way.
var errExpired = fmt.Errorf("%w: your password was changed; sign in again", web.ErrRefused)

const (
	maxAddresses = 50     // that one account is offered
	maxAliases   = 10_000 // that are looked at for them
)

// addressesOf are the addresses that an account is offered to write under: its own, and
// aliases that lead straight to it.
func (srv *Server) addressesOf(account storage.Account) []string {
	own := router.Mailbox(account.Name, account.Domain)
	all, looked := []string{own}, 0
	_ = srv.store.Aliases(func(a storage.Alias) bool {
		if looked++; a.Name != "" && router.Mailbox(a.Name, a.Domain) != own && slices.ContainsFunc(a.Targets, func(t string) bool { return address.Fold(t) == own }) {
			all = append(all, router.Mailbox(a.Name, a.Domain))
		}
		return looked < maxAliases && len(all) < maxAddresses
	}) // without the aliases the user can write all the same
	return all
}
