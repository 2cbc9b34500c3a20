package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"

	"postrider/engine/config"
	"postrider/engine/edge/certs"
	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/maillog"
)

// newTLS loads the certificates; nil when there shall be no TLS.
func newTLS(cfg *config.Config, log maillog.Log) (*certs.Manager, error) {
	if !cfg.HasTLS() {
		return nil, nil
	}
	return certs.New(certsSettings(cfg, log))
}

// certsSettings are the settings for our certificates.
func certsSettings(cfg *config.Config, log maillog.Log) certs.Settings {
	c := &cfg.TLS
	set := certs.Settings{
		Data: cfg.Server.Data, ReloadEvery: c.ReloadEvery, Log: log.Logger,
		ACME:       acme.Options{Domains: c.ACMEDomains, Directory: c.ACMEDirectory, Email: c.ACMEEmail},
		MinVersion: versionOf[c.MinVersion], SMTPMinVersion: versionOf[c.SMTPMinVersion], ClientRoots: c.ClientRoots,
		Names: []string{cfg.Server.Hostname},
	}
	for _, f := range c.Certificates {
		set.Files = append(set.Files, tlsio.CertFile(f))
	}
	for _, d := range cfg.Server.Domains {
		if !slices.Contains(set.Names, d) {
			set.Names = append(set.Names, d)
		}
	}
	switch c.ClientCertificates {
	case config.CertificatesOff:
	case config.CertificatesRequired:
		set.Clients = certs.Demanded
	default:
		set.Clients = certs.Asked
	}
	return set
}

var versionOf = map[config.TLSVersion]uint16{
	config.TLS10: tls.VersionTLS10, config.TLS11: tls.VersionTLS11, config.TLS12: tls.VersionTLS12, config.TLS13: tls.VersionTLS13,
}

// ReloadCertificates reads the files of the certificates again, soon, and the keys of
// DKIM, now: what SIGHUP asks for. Sessions go on as they are. The error is about the keys of
// DKIM; the log tells of certificates.
func (srv *Server) ReloadCertificates() (err error) {
	if err = srv.keys.Reload(); err != nil {
		err = fmt.Errorf("the DKIM keys can't be read again, the old ones sign on: %w", err)
	}
	if m := srv.tls.Load(); m != nil {
		m.Reload()
	}
	return err
}

// prepareTLS checks what a reload needs of certificates. It returns what manages them next,
// which is the one that there is or a new one that has not started; nil: there shall be no
// TLS.
func (srv *Server) prepareTLS(next *config.Config) (*certs.Manager, error) {
	now := srv.tls.Load()
	if now == nil || !next.HasTLS() {
		return newTLS(next, srv.log)
	}
	return now, now.Check(certsSettings(next, srv.log))
}

// configureTLS puts the result of prepareTLS in the place of what there was.
func (srv *Server) configureTLS(next *config.Config, m *certs.Manager) {
	was := srv.tls.Swap(m)
	if was != nil && was != m {
		was.Close()
	}
	h := srv.edge.TLS.Handshaker
	h.SetLimit(next.TLS.MaxHandshakes)
	h.SetTokens(next.HandshakeTokens())
	srv.edge.TLS.Limit.Store(int64(next.TLS.HandshakeTimeout))
	srv.edge.TLS.Pace.Configure(next.TLS.ClientHandshakes, next.Policy.RateEntries)
	if m == nil {
		h.Clients.Store(nil)
		return
	}
	if m == was {
		m.Configure(certsSettings(next, srv.log))
	} else {
		m.Start()
	}
	h.Clients.Store(m.Clients())
}

// ACMEHandler answers the authority of tls.acme_domains at tls.acme_listen.
func (srv *Server) ACMEHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := srv.tls.Load(); m != nil {
			m.ACMEHandler().ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
}
