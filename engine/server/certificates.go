package server

import (
	"crypto/tls"
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
// DKIM, now: what SIGHUP asks for. Sessions go on as they are.
func (srv *Server) ReloadCertificates() {
	if err := srv.keys.Reload(); err != nil {
		srv.log.Fault("the DKIM keys can't be read again, the old ones sign on", err)
	}
	if srv.tls != nil {
		srv.tls.Reload()
	}
}

// ACMEHandler answers the authority of tls.acme_domains at tls.acme_listen; nil: there
// are none.
func (srv *Server) ACMEHandler() http.Handler {
	if srv.tls == nil {
		return nil
	}
	return srv.tls.ACMEHandler()
}
