package engine

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/acme"
	"postrider/engine/config"
	"postrider/engine/tlsio"
)

// tlsEdge is what TLS needs beside the sessions: certificates, keys of tickets, and
// the configurations of the listeners.
type tlsEdge struct {
	handshaker *tlsio.Handshaker
	pace       *pace
	certs      tlsio.CertStore
	watch      *tlsio.Watch
	tickets    *tlsio.TicketKeys
	log        mailLog

	smtp  *tls.Config // STARTTLS at port 25
	smtps *tls.Config // implicit, and where clients submit mail
	pop3  *tls.Config // STLS
	pop3s *tls.Config
	https *tls.Config

	acme     *acme.Manager // nil: no certificates by ACME
	obtained chan obtained // its answers
	asking   atomic.Bool

	hurry chan struct{} // read the files now
	stop  chan struct{}
	ended sync.WaitGroup
}

// Files in the data directory.
const (
	selfSignedFile = "tls-selfsigned.pem"
	ticketFile     = "tls-tickets"
	acmeFolder     = "acme"
)

// expiryWarning is how long before its end a certificate is warned of.
const expiryWarning = 14 * 24 * time.Hour

// newTLS loads the certificates; nil when there shall be no TLS.
func newTLS(cfg *config.Config, log mailLog) (*tlsEdge, error) {
	if !cfg.HasTLS() {
		return nil, nil
	}
	t := &tlsEdge{
		handshaker: tlsio.NewHandshaker(cfg.HandshakeTokens(), cfg.TLS.MaxHandshakes),
		pace:       newPace(cfg), obtained: make(chan obtained, 1),
		log: log, hurry: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	files, err := certFiles(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("tls.self_signed: %w", err)
	}
	if err := t.load(cfg, files); err != nil {
		return nil, err
	}
	tickets := filepath.Join(cfg.Server.Data, ticketFile)
	t.tickets, err = orAnew(tickets, "clients can't resume their TLS sessions", log, func() (*tlsio.TicketKeys, error) { return tlsio.OpenTicketKeys(tickets) })
	if err != nil {
		return nil, fmt.Errorf("keys of session tickets: %w", err)
	}
	oldest := versionOf[cfg.TLS.MinVersion]
	ours := tlsio.Policy{MinVersion: oldest, Tickets: true, Clients: t.handshaker.Clients, Demanded: cfg.TLS.ClientCertificates == config.CertificatesRequired}
	t.smtp = tlsio.Policy{MinVersion: versionOf[cfg.TLS.SMTPMinVersion], Clients: t.handshaker.Clients}.Config(&t.certs)
	t.smtps, t.pop3 = ours.Config(&t.certs), ours.Config(&t.certs)
	ours.Protocols = []string{"pop3"}
	t.pop3s = ours.Config(&t.certs)
	ours.Protocols = []string{"http/1.1"}
	t.https = ours.Config(&t.certs)
	if err := t.rotate(); err != nil {
		return nil, err
	}
	if len(cfg.TLS.ACMEDomains) > 0 {
		t.acme = acme.New(acme.Options{
			Domains: cfg.TLS.ACMEDomains, Directory: cfg.TLS.ACMEDirectory, Email: cfg.TLS.ACMEEmail, Folder: filepath.Join(cfg.Server.Data, acmeFolder),
		})
	}
	t.warnOfExpiry()
	return t, nil
}

// load reads the files of certificates, ours and the authorities of clients, and
// watches them.
func (t *tlsEdge) load(cfg *config.Config, files []tlsio.CertFile) error {
	var names []string
	for _, f := range files {
		names = append(names, f.Cert, f.Key)
	}
	roots := cfg.TLS.ClientRoots
	if cfg.TLS.ClientCertificates != config.CertificatesOff {
		t.handshaker.Clients = new(tlsio.ClientStore)
		names = append(names, roots)
	}
	load := func() error {
		if t.handshaker.Clients != nil {
			if err := t.handshaker.Clients.Load(roots); err != nil {
				return fmt.Errorf("tls.client_roots: %w", err)
			}
		}
		if err := t.certs.Load(files); err != nil {
			return fmt.Errorf("tls.certificates: %w", err)
		}
		return nil
	}
	t.watch = tlsio.NewWatch(load, names...)
	return load()
}

var versionOf = map[config.TLSVersion]uint16{
	config.TLS10: tls.VersionTLS10, config.TLS11: tls.VersionTLS11, config.TLS12: tls.VersionTLS12, config.TLS13: tls.VersionTLS13,
}

// certFiles are those of the configuration, or the one we make.
func certFiles(cfg *config.Config, log mailLog) (files []tlsio.CertFile, err error) {
	for _, f := range cfg.TLS.Certificates {
		files = append(files, tlsio.CertFile(f))
	}
	if len(files) > 0 {
		return files, nil
	}
	names := []string{cfg.Server.Hostname}
	for _, d := range cfg.Server.Domains {
		if !slices.Contains(names, d) {
			names = append(names, d)
		}
	}
	file := filepath.Join(cfg.Server.Data, selfSignedFile)
	f, err := orAnew(file, "clients that have pinned the self-signed certificate refuse the new one", log,
		func() (tlsio.CertFile, error) { return tlsio.SelfSigned(file, names, time.Now()) })
	return []tlsio.CertFile{f}, err
}

func (t *tlsEdge) rotate() error {
	return t.tickets.Rotate(time.Now(), t.smtps, t.pop3, t.pop3s, t.https)
}

// start looks after the files until close: for changed certificates, and for keys
// of tickets that are a day old.
func (t *tlsEdge) start(every time.Duration) {
	t.ended.Go(func() {
		look, renew := time.NewTicker(every), time.NewTicker(renewEvery)
		defer look.Stop()
		defer renew.Stop()
		t.obtain()
		for {
			force := false
			select {
			case <-t.stop:
				return
			case <-t.hurry:
				force = true
				t.obtain()
			case <-renew.C:
				t.obtain()
				continue
			case got := <-t.obtained:
				t.use(got)
				continue
			case <-look.C:
			}
			t.reload(force)
			if err := t.rotate(); err != nil {
				t.log.fault("TLS", err)
			}
		}
	})
}

// reload reads the certificates again, if there is something new.
func (t *tlsEdge) reload(force bool) {
	loaded, err := t.watch.Reload(force)
	switch {
	case err != nil:
		t.log.fault("new TLS certificates can't be used, the old ones serve on", err)
	case loaded:
		t.log.info("TLS certificates loaded")
		t.warnOfExpiry()
	}
}

func (t *tlsEdge) warnOfExpiry() {
	if at, name := t.certs.Expires(); time.Until(at) < expiryWarning {
		t.log.Warn("the TLS certificate of "+name+" ends soon or has ended: renew it", "not_after", at)
	}
}

func (t *tlsEdge) close() {
	close(t.stop)
	t.ended.Wait()
}

// ReloadCertificates reads the files of the certificates again, soon, and the keys of
// DKIM, now: what SIGHUP asks for. Sessions go on as they are.
func (srv *Server) ReloadCertificates() {
	if err := srv.keys.Reload(); err != nil {
		srv.log.fault("the DKIM keys can't be read again, the old ones sign on", err)
	}
	if srv.tls == nil {
		return
	}
	select {
	case srv.tls.hurry <- struct{}{}:
	default: // it is asked for already
	}
}
