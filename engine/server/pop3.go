package server

import (
	"crypto/tls"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/pop3srv"
)

// newPOP3 makes what the sessions of POP3 share.
func (srv *Server) newPOP3() *pop3srv.Service {
	return pop3srv.New(pop3Settings(srv.config()), pop3srv.Rooms{
		Edge: srv.edge, Loops: srv.group.Loops(), Store: srv.store, Door: srv.door, Memory: srv.budget,
		Readers: srv.readers, Log: srv.log, History: srv.history, Draining: srv.draining.Load, Took: srv.took.retrieve,
	})
}

// pop3Settings are the rules for sessions of POP3.
func pop3Settings(c *config.Config) pop3srv.Settings {
	return pop3srv.Settings{
		Hostname: c.Server.Hostname, Version: Version,
		APOP: c.POP3.APOP, LoginDelay: c.POP3.LoginDelay, MaxErrors: c.POP3.MaxErrors,
		Expire:     c.POP3.Expire,
		MaxListing: c.POP3.MaxListing, IdleTimeout: c.POP3.IdleTimeout,
		Mechanisms: c.Auth.Mechanisms, ClearText: c.Auth.ClearText,
		TLSFirst: c.TLS.ClientCertificates == config.CertificatesRequired,
	}
}

// openPOP3 is for the addresses of pop3.listen.
func openPOP3(srv *Server, _ int) (conn.Opener, []byte) {
	var stls *tls.Config
	if srv.tls.Load() != nil {
		stls = srv.tls.Load().Configs().POP3
	}
	return srv.pop3srv.Listener(stls), []byte(pop3srv.TooMany)
}

// openPOP3S is for the addresses of pop3.listen_tls.
func openPOP3S(srv *Server, _ int) (conn.Opener, []byte) {
	return srv.pop3srv.ListenerTLS(srv.tls.Load().Configs().POP3S), nil
}
