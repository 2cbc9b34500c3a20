package server

import (
	"fmt"

	"postrider/engine/config"
	"postrider/engine/front/pop3srv"
)

// newPOP3 makes what the sessions of POP3 share.
func (srv *Server) newPOP3() *pop3srv.Service {
	c := srv.cfg
	return pop3srv.New(pop3srv.Settings{
		Hostname: c.Server.Hostname, Version: Version,
		APOP: c.POP3.APOP, LoginDelay: c.POP3.LoginDelay, MaxErrors: c.POP3.MaxErrors,
		MaxListing: c.POP3.MaxListing, IdleTimeout: c.POP3.IdleTimeout,
		Mechanisms: c.Auth.Mechanisms, ClearText: c.Auth.ClearText,
		TLSFirst: c.TLS.ClientCertificates == config.CertificatesRequired,
	}, pop3srv.Rooms{
		Edge: srv.edge, Loops: srv.group.Loops(), Store: srv.store, Door: srv.door, Memory: srv.budget,
		Readers: srv.readers, Log: srv.log, Draining: srv.draining.Load,
	})
}

// listenPOP3 binds the addresses of POP3.
func (srv *Server) listenPOP3() error {
	tooMany, clear := []byte(pop3srv.TooMany), srv.pop3srv.Listener(nil)
	if srv.tls != nil {
		clear = srv.pop3srv.Listener(srv.tls.Configs.POP3)
	}
	for _, addr := range srv.cfg.POP3.Listen {
		l, err := srv.bind("pop3", addr, tooMany, srv.edge.ProxyFirst(clear))
		if err != nil {
			return fmt.Errorf("pop3.listen %s: %w", addr, err)
		}
		srv.pop3 = append(srv.pop3, l)
	}
	for _, addr := range srv.cfg.POP3.ListenTLS {
		l, err := srv.bind("pop3s", addr, nil, srv.edge.ProxyFirst(srv.pop3srv.ListenerTLS(srv.tls.Configs.POP3S)))
		if err != nil {
			return fmt.Errorf("pop3.listen_tls %s: %w", addr, err)
		}
		srv.pop3s = append(srv.pop3s, l)
	}
	return nil
}
