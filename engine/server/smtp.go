package server

import (
	"cmp"
	"crypto/tls"

	"postrider/engine/admit/policy"
	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/dns"
	"postrider/engine/edge/limit"
	"postrider/engine/front/smtpsrv"
	"postrider/engine/host/maillog"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/incoming"
	"postrider/engine/protocol/smtpd"
)

// openSMTP is for the addresses of smtp.listen.
func openSMTP(srv *Server, i int) (conn.Opener, []byte) {
	return srv.smtpsrv.Listener(srv.smtpAddress(conn.SMTP, srv.config().SMTP.Listen[i], nil)), srv.smtpsrv.TooMany()
}

// openSMTPS is for the addresses of smtp.listen_tls.
func openSMTPS(srv *Server, i int) (conn.Opener, []byte) {
	return srv.smtpsrv.Listener(srv.smtpAddress(conn.SMTPS, srv.config().SMTP.ListenTLS[i], srv.tls.Load().Configs().SMTPS)), nil
}

// openSubmission is for the addresses of submission.listen, where accounts submit mail (RFC
// 6409): SMTP as elsewhere, but nothing without a login. The clients come again, so TLS has
// tickets.
func openSubmission(srv *Server, _ int) (conn.Opener, []byte) {
	a := srv.smtpAddress(conn.Submission, config.SMTPListener{Auth: config.AuthRequired}, nil)
	if srv.tls.Load() != nil {
		a.StartTLS = srv.tls.Load().Configs().SMTPS
	}
	return srv.smtpsrv.Listener(a), srv.smtpsrv.TooMany()
}

// openSubmissions is for the addresses of submission.listen_tls.
func openSubmissions(srv *Server, _ int) (conn.Opener, []byte) {
	return srv.smtpsrv.Listener(srv.smtpAddress(conn.Submissions, config.SMTPListener{Auth: config.AuthRequired}, srv.tls.Load().Configs().SMTPS)), nil
}

var smtpAuth = map[config.ListenerAuth]smtpsrv.Auth{config.AuthOff: smtpsrv.NoAuth, "": smtpsrv.OfferAuth, config.AuthRequired: smtpsrv.RequireAuth}

// smtpAddress is what the configuration says of an address; within: TLS from the first
// octet, or nil.
func (srv *Server) smtpAddress(front conn.Front, at config.SMTPListener, within *tls.Config) smtpsrv.Address {
	a := smtpsrv.Address{Front: front, Service: serviceOf(at), Auth: smtpAuth[at.Auth], TLS: within}
	if srv.tls.Load() != nil && within == nil {
		a.StartTLS = srv.tls.Load().Configs().SMTP
	}
	if cmp.Or(at.BareLF, srv.config().SMTP.BareLF) == config.BareLFNormalize {
		a.BareLF = smtpd.Normalize
	}
	switch {
	case srv.capture != 0, within != nil, !demandsCertificates(srv.config()):
	case at.Auth == config.AuthRequired:
		a.StartTLS = srv.tls.Load().Configs().SMTPS // where a certificate is demanded
	default:
		a.Auth = smtpsrv.NoAuth // hosts bring mail here with or without a certificate
	}
	return a
}

// demandsCertificates reports whether clients log in with a certificate of theirs only.
func demandsCertificates(c *config.Config) bool {
	return c.TLS.ClientCertificates == config.CertificatesRequired && c.HasTLS()
}

// smtpSettings are the rules for sessions of SMTP.
func smtpSettings(c *config.Config, in *incoming.Entrance) smtpsrv.Settings {
	return smtpsrv.Settings{
		Machine: smtpd.Config{
			Hostname: c.Server.Hostname, MaxSize: c.SMTP.MaxSize, MaxRecipients: c.SMTP.MaxRecipients,
			MaxMessages: c.SMTP.MaxMessages, MaxErrors: c.SMTP.MaxErrors, MaxHops: c.SMTP.MaxHops,
			Auth: smtpd.Auth{Mechanisms: c.Auth.Mechanisms, Plaintext: c.Auth.ClearText, TLSFirst: demandsCertificates(c)},
		},
		CommandTimeout: c.SMTP.CommandTimeout, DataTimeout: c.SMTP.DataTimeout, MinDataRate: c.SMTP.MinDataRate,
		MayRelay: c.MayRelay, MayXclient: c.MayXclient,
		AnySender: c.Submission.AnySender, HideClient: c.Submission.HideClient, Handshakes: c.TLS.ClientHandshakes,
		OverQuotaFails: c.SMTP.OverQuota == config.OverQuotaFinal, Capture: c.Capture.On, Entrance: in,
	}
}

// smtpRooms are the parts of the server that sessions of SMTP work with.
func (srv *Server) smtpRooms() smtpsrv.Rooms {
	return smtpsrv.Rooms{
		Loops: srv.group.Loops(), Edge: srv.edge, Store: srv.store, Router: srv.router, Door: srv.door,
		Memory: srv.budget, Guard: srv.guard, Sent: srv.sent, Log: srv.log, Took: srv.took.accept,
		Draining: srv.draining.Load,
	}
}

// screenSettings are the rules for untrusted clients. Rates and lists were checked when
// they were read.
func screenSettings(c *config.Config) screen.Settings {
	p := &c.Policy
	rate := func(text string) limit.Rate {
		r, _ := limit.ParseRate(text)
		return r
	}
	var lists []policy.Blocklist
	for _, s := range p.Blocklists {
		if l, err := policy.ParseBlocklist(s); err == nil {
			lists = append(lists, l)
		}
	}
	return screen.Settings{
		Lists:             lists,
		Hostname:          c.Server.Hostname,
		ClientConnections: rate(p.ClientConnections), NetworkConnections: rate(p.NetworkConnections),
		ClientMessages: rate(p.ClientMessages), NetworkMessages: rate(p.NetworkMessages),
		Questions: rate(p.Questions), Notifications: rate(p.Notifications), RateEntries: p.RateEntries,
		GreetDelay: p.GreetDelay, RefuseEarly: p.EarlyTalkers == config.MannersRefuse, RefusePipelining: p.Pipelining == config.MannersRefuse,
		ReverseDNS: p.ReverseDNS, LookupTimeout: p.LookupTimeout, BlockThreshold: p.BlockThreshold,
		Verify: p.Verify, RefuseDMARC: p.DMARC == config.DMARCReject, VerifyTimeout: p.VerifyTimeout, Verifications: p.Verifications,
		Greylist: p.Greylist, GreylistDelay: p.GreylistDelay, GreylistWindow: p.GreylistWindow, GreylistKeep: p.GreylistKeep,
		GreylistEntries: p.GreylistEntries,
	}
}

// vetter asks name servers about untrusted clients and their mail.
func vetter(names *dns.Resolver, memory budget.Memory, log maillog.Log) screen.Vetter {
	return screen.Vetter{
		Names: names, Memory: memory.OfStrangers(),
		Panicked: func(p any) { _ = log.Panicked("the check of a message", p) }, Log: log,
	}
}

// allowances are what accounts may send.
func allowances(c *config.Config) allowance.Limits {
	return allowance.Limits{Messages: c.Submission.MessagesPerHour, Recipients: c.Submission.RecipientsPerHour}
}
