package certs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/perms"
)

// Manager has the certificates and ticket keys, and the TLS configurations that use them.
type Manager struct {
	Configs Configs
	// Clients has the authorities for client certificates; nil: clients are not asked for
	// certificates.
	Clients *tlsio.ClientStore

	set     Settings
	store   tlsio.CertStore
	mu      sync.Mutex // guards watch, set.Files and set.ClientRoots
	watch   *Watch
	tickets *TicketKeys

	acme     *acme.Manager // nil: no certificates by ACME
	obtained chan obtained // the results of obtain
	asking   atomic.Bool

	reloadNow chan struct{} // asks for a reload
	stop      chan struct{}
	ended     sync.WaitGroup
}

// expiryWarning is how long before a certificate expires the log has a warning.
const expiryWarning = 14 * 24 * time.Hour

// New loads the certificates, and makes missing files.
func New(set Settings) (*Manager, error) {
	m := &Manager{set: set, obtained: make(chan obtained, 1), reloadNow: make(chan struct{}, 1), stop: make(chan struct{})}
	files, err := m.files()
	if err != nil {
		return nil, fmt.Errorf("tls.self_signed: %w", err)
	}
	if err := m.load(files); err != nil {
		return nil, err
	}
	tickets := set.file(TicketFile)
	m.tickets, err = perms.OpenOrRemake(tickets, "clients can't resume their TLS sessions", set.Log, func() (*TicketKeys, error) { return OpenTicketKeys(tickets) })
	if err != nil {
		return nil, fmt.Errorf("keys of session tickets: %w", err)
	}
	m.configure()
	if err := m.rotate(); err != nil {
		return nil, err
	}
	if len(set.ACME.Domains) > 0 {
		o := set.ACME
		o.Folder = set.file(acmeFolder)
		m.acme = acme.New(o)
	}
	m.warnOfExpiry()
	return m, nil
}

// configure makes the configurations for the listeners.
func (m *Manager) configure() {
	m.Configs.SMTP = tlsio.Policy{MinVersion: m.set.SMTPMinVersion, Clients: m.Clients}.Config(&m.store)
	ours := tlsio.Policy{MinVersion: m.set.MinVersion, Tickets: true, Clients: m.Clients, Demanded: m.set.Clients == Demanded}
	m.Configs.SMTPS, m.Configs.POP3 = ours.Config(&m.store), ours.Config(&m.store)
	ours.Protocols = []string{"pop3"}
	m.Configs.POP3S = ours.Config(&m.store)
	ours.Protocols = []string{"http/1.1"}
	m.Configs.HTTPS = ours.Config(&m.store)
}

// load reads the certificates and the authorities for client certificates, and watches
// their files.
func (m *Manager) load(files []tlsio.CertFile) error {
	var names []string
	for _, f := range files {
		names = append(names, f.Cert, f.Key)
	}
	if m.set.Clients != NotAsked {
		if m.Clients == nil {
			m.Clients = new(tlsio.ClientStore)
		}
		names = append(names, m.set.ClientRoots)
	}
	roots := m.set.ClientRoots
	load := func() error { return loadInto(&m.store, m.Clients, files, roots) }
	m.watch = NewWatch(load, names...)
	return load()
}

// loadInto reads the files of certificates, and of authorities unless clients is nil.
func loadInto(store *tlsio.CertStore, clients *tlsio.ClientStore, files []tlsio.CertFile, roots string) error {
	if clients != nil {
		if err := clients.Load(roots); err != nil {
			return fmt.Errorf("tls.client_roots: %w", err)
		}
	}
	if err := store.Load(files); err != nil {
		return fmt.Errorf("tls.certificates: %w", err)
	}
	return nil
}

// Check reads other files of certificates and authorities, and returns what is wrong with
// them.
func (m *Manager) Check(files []tlsio.CertFile, roots string) error {
	if m.Clients != nil {
		if err := new(tlsio.ClientStore).Load(roots); err != nil {
			return fmt.Errorf("tls.client_roots: %w", err)
		}
	}
	if len(files) == 0 { // the self-signed one, or that of ACME
		return nil
	}
	return loadInto(new(tlsio.CertStore), nil, files, roots)
}

// Configure replaces the files of certificates and authorities. Connections that are open
// keep their certificate. After an error the old ones stay in use: Check finds most.
func (m *Manager) Configure(files []tlsio.CertFile, roots string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if roots == m.set.ClientRoots && slices.Equal(files, m.set.Files) {
		return
	}
	m.set.Files, m.set.ClientRoots = files, roots
	all, err := m.files()
	if err == nil {
		err = m.load(all)
	}
	if err != nil {
		m.fault("new TLS certificates can't be used, the old ones stay in use", err)
		return
	}
	m.warnOfExpiry()
}

// Files returns the files of certificates and authorities that count now; none: the
// certificate is self-signed.
func (m *Manager) Files() (files []tlsio.CertFile, roots string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set.Files, m.set.ClientRoots
}

// files returns the operator's files, or the self-signed certificate's.
func (m *Manager) files() ([]tlsio.CertFile, error) {
	if len(m.set.Files) > 0 {
		return m.set.Files, nil
	}
	file := m.set.file(SelfSignedFile)
	f, err := perms.OpenOrRemake(file, "clients that have pinned the self-signed certificate refuse the new one", m.set.Log,
		func() (tlsio.CertFile, error) { return SelfSigned(file, m.set.Names, time.Now()) })
	return []tlsio.CertFile{f}, err
}

// rotate gives the ticket keys to all configurations except for SMTP from other hosts,
// which does not resume sessions.
func (m *Manager) rotate() error {
	return m.tickets.Rotate(time.Now(), m.Configs.SMTPS, m.Configs.POP3, m.Configs.POP3S, m.Configs.HTTPS)
}

// Start begins to reload changed files, to rotate ticket keys and to renew certificates by
// ACME, until Close.
func (m *Manager) Start() {
	m.ended.Go(func() {
		look, renew := time.NewTicker(m.set.ReloadEvery), time.NewTicker(renewEvery)
		defer look.Stop()
		defer renew.Stop()
		m.obtain()
		for {
			force := false
			select {
			case <-m.stop:
				return
			case <-m.reloadNow:
				force = true
				m.obtain()
			case <-renew.C:
				m.obtain()
				continue
			case got := <-m.obtained:
				m.use(got)
				continue
			case <-look.C:
			}
			m.reload(force)
			if err := m.rotate(); err != nil {
				m.fault("TLS", err)
			}
		}
	})
}

// Reload reads the files again, soon.
func (m *Manager) Reload() {
	select {
	case m.reloadNow <- struct{}{}:
	default: // a reload is due already
	}
}

// reload reads the certificates again if a file has changed, or with force.
func (m *Manager) reload(force bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	loaded, err := m.watch.Reload(force)
	switch {
	case err != nil:
		m.fault("new TLS certificates can't be used, the old ones stay in use", err)
	case loaded:
		m.set.Log.Info("TLS certificates loaded")
		m.warnOfExpiry()
	}
}

// Expires returns when the first certificate expires, and a name in it.
func (m *Manager) Expires() (at time.Time, name string) { return m.store.Expires() }

func (m *Manager) warnOfExpiry() {
	if at, name := m.Expires(); time.Until(at) < expiryWarning {
		m.set.Log.Warn("TLS certificate for "+name+" expires soon or has expired: renew it", "not_after", at)
	}
}

// Close ends the goroutine that Start has started.
func (m *Manager) Close() {
	close(m.stop)
	m.ended.Wait()
}

// fault logs an error. what describes what failed.
func (m *Manager) fault(what string, err error) {
	m.set.Log.LogAttrs(context.Background(), slog.LevelError, what+": "+err.Error())
}
