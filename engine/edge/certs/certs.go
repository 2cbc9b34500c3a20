package certs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/perms"
)

// Manager keeps the certificates and the keys of tickets, and the configurations that
// have them.
type Manager struct {
	Configs Configs
	// Clients has the authorities of clients; nil: they are not asked for certificates.
	Clients *tlsio.ClientStore

	set     Settings
	store   tlsio.CertStore
	watch   *Watch
	tickets *TicketKeys

	acme     *acme.Manager // nil: no certificates by ACME
	obtained chan obtained // its answers
	asking   atomic.Bool

	hurry chan struct{} // read the files now
	stop  chan struct{}
	ended sync.WaitGroup
}

// expiryWarning is how long before its end a certificate is warned of.
const expiryWarning = 14 * 24 * time.Hour

// New loads the certificates, and makes what is missing.
func New(set Settings) (*Manager, error) {
	m := &Manager{set: set, obtained: make(chan obtained, 1), hurry: make(chan struct{}, 1), stop: make(chan struct{})}
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

// configure makes the configurations of the listeners.
func (m *Manager) configure() {
	m.Configs.SMTP = tlsio.Policy{MinVersion: m.set.SMTPMinVersion, Clients: m.Clients}.Config(&m.store)
	ours := tlsio.Policy{MinVersion: m.set.MinVersion, Tickets: true, Clients: m.Clients, Demanded: m.set.Clients == Demanded}
	m.Configs.SMTPS, m.Configs.POP3 = ours.Config(&m.store), ours.Config(&m.store)
	ours.Protocols = []string{"pop3"}
	m.Configs.POP3S = ours.Config(&m.store)
	ours.Protocols = []string{"http/1.1"}
	m.Configs.HTTPS = ours.Config(&m.store)
}

// load reads the files of certificates, ours and the authorities of clients, and
// watches them.
func (m *Manager) load(files []tlsio.CertFile) error {
	var names []string
	for _, f := range files {
		names = append(names, f.Cert, f.Key)
	}
	if m.set.Clients != NotAsked {
		m.Clients = new(tlsio.ClientStore)
		names = append(names, m.set.ClientRoots)
	}
	load := func() error {
		if m.Clients != nil {
			if err := m.Clients.Load(m.set.ClientRoots); err != nil {
				return fmt.Errorf("tls.client_roots: %w", err)
			}
		}
		if err := m.store.Load(files); err != nil {
			return fmt.Errorf("tls.certificates: %w", err)
		}
		return nil
	}
	m.watch = NewWatch(load, names...)
	return load()
}

// files are those of the operator, or the one that we make.
func (m *Manager) files() ([]tlsio.CertFile, error) {
	if len(m.set.Files) > 0 {
		return m.set.Files, nil
	}
	file := m.set.file(SelfSignedFile)
	f, err := perms.OpenOrRemake(file, "clients that have pinned the self-signed certificate refuse the new one", m.set.Log,
		func() (tlsio.CertFile, error) { return SelfSigned(file, m.set.Names, time.Now()) })
	return []tlsio.CertFile{f}, err
}

// rotate gives the keys of tickets to all configurations but that of hosts that bring mail:
// those resume nothing.
func (m *Manager) rotate() error {
	return m.tickets.Rotate(time.Now(), m.Configs.SMTPS, m.Configs.POP3, m.Configs.POP3S, m.Configs.HTTPS)
}

// Start looks after the files until Close: for changed certificates, and for keys of
// tickets that are a day old.
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
			case <-m.hurry:
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
	case m.hurry <- struct{}{}:
	default: // it is asked for already
	}
}

// reload reads the certificates again, if there is something new.
func (m *Manager) reload(force bool) {
	loaded, err := m.watch.Reload(force)
	switch {
	case err != nil:
		m.fault("new TLS certificates can't be used, the old ones serve on", err)
	case loaded:
		m.set.Log.Info("TLS certificates loaded")
		m.warnOfExpiry()
	}
}

// Expires is when the first certificate ends, and a name that it is for.
func (m *Manager) Expires() (at time.Time, name string) { return m.store.Expires() }

func (m *Manager) warnOfExpiry() {
	if at, name := m.Expires(); time.Until(at) < expiryWarning {
		m.set.Log.Warn("the TLS certificate of "+name+" ends soon or has ended: renew it", "not_after", at)
	}
}

// Close ends what Start has started.
func (m *Manager) Close() {
	close(m.stop)
	m.ended.Wait()
}

// fault logs a failure; what says what did not work.
func (m *Manager) fault(what string, err error) {
	m.set.Log.LogAttrs(context.Background(), slog.LevelError, what+": "+err.Error())
}
