package certs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/perms"
)

// Manager has the certificates and ticket keys, and the TLS configurations that use them.
type Manager struct {
	store tlsio.CertStore

	mu      sync.Mutex // guards the fields below
	set     Settings
	configs *Configs
	clients *tlsio.ClientStore // authorities for client certificates; nil: clients are not asked
	watch   *Watch
	tickets *TicketKeys
	acme    *acme.Manager // nil: no certificates by ACME
	answers http.Handler  // to the authority; nil as acme is
	asking  *acme.Manager // for which obtain is at work; nil: for none

	obtained  chan obtained // the results of obtain
	reloadNow chan struct{} // asks for a reload
	look      chan struct{} // Settings.ReloadEvery is another one
	stop      chan struct{}
	ended     sync.WaitGroup
}

// expiryWarning is how long before a certificate expires the log has a warning.
const expiryWarning = 14 * 24 * time.Hour

// New loads the certificates, and makes missing files.
func New(set Settings) (*Manager, error) {
	m := &Manager{
		set: set, obtained: make(chan obtained, 1), reloadNow: make(chan struct{}, 1), look: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	tickets := set.file(TicketFile)
	var err error
	m.tickets, err = perms.OpenOrRemake(tickets, "clients can't resume their TLS sessions", set.Log, func() (*TicketKeys, error) { return OpenTicketKeys(tickets) })
	if err != nil {
		return nil, fmt.Errorf("keys of session tickets: %w", err)
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	if err := m.arrange(); err != nil {
		return nil, err
	}
	m.order()
	m.warnOfExpiry()
	m.warnOfNames()
	return m, nil
}

// arrange makes the configurations for the listeners.
func (m *Manager) arrange() error {
	var c Configs
	c.SMTP = tlsio.Policy{MinVersion: m.set.SMTPMinVersion, Clients: m.clients}.Config(&m.store)
	ours := tlsio.Policy{MinVersion: m.set.MinVersion, Tickets: true, Clients: m.clients, Demanded: m.set.Clients == Demanded}
	c.SMTPS, c.POP3 = ours.Config(&m.store), ours.Config(&m.store)
	ours.Protocols = []string{"pop3"}
	c.POP3S = ours.Config(&m.store)
	ours.Protocols = []string{"http/1.1"}
	c.HTTPS = ours.Config(&m.store)
	m.configs = &c
	return m.rotate()
}

// order makes what gets certificates by ACME. It orders at the next Reload.
func (m *Manager) order() {
	if len(m.set.ACME.Domains) == 0 {
		m.acme, m.answers = nil, nil
		m.store.Obtained(nil)
		return
	}
	o := m.set.ACME
	o.Folder = m.set.file(acmeFolder)
	m.acme = acme.New(o)
	m.answers = m.acme.Handler()
}

// Configs are the configurations for listeners that are made now.
func (m *Manager) Configs() *Configs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.configs
}

// Clients has the authorities for client certificates; nil: clients are not asked for
// certificates.
func (m *Manager) Clients() *tlsio.ClientStore {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clients
}

// load reads the certificates and the authorities for client certificates, and watches
// their files.
func (m *Manager) load() error {
	files, err := m.set.files()
	if err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Cert, f.Key)
	}
	m.clients = nil
	if m.set.Clients != NotAsked {
		m.clients = new(tlsio.ClientStore)
		names = append(names, m.set.ClientRoots)
	}
	clients, roots := m.clients, m.set.ClientRoots
	load := func() error { return loadInto(&m.store, clients, files, roots) }
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

// Check reads the files of other settings, and returns what is wrong with them. It makes a
// self-signed certificate that is missing.
func (m *Manager) Check(set Settings) error {
	files, err := set.files()
	if err != nil {
		return err
	}
	var clients *tlsio.ClientStore
	if set.Clients != NotAsked {
		clients = new(tlsio.ClientStore)
	}
	return loadInto(new(tlsio.CertStore), clients, files, set.ClientRoots)
}

// Configure replaces the settings, except for Data and Log. Connections that are open keep
// their certificate, and listeners that are made later have the new configurations: see
// Configs. Certificates by ACME are ordered at the next Reload, when the authority can reach
// the new addresses. After an error the old settings stay: Check finds most.
func (m *Manager) Configure(set Settings) {
	m.mu.Lock()
	defer m.mu.Unlock()
	set.Data, set.Log = m.set.Data, m.set.Log
	if reflect.DeepEqual(set, m.set) {
		return
	}
	before, watch, clients := m.set, m.watch, m.clients
	m.set = set
	if err := m.load(); err != nil {
		m.set, m.watch, m.clients = before, watch, clients
		m.fault("new TLS certificates can't be used, the old ones stay in use", err)
		return
	}
	if err := m.arrange(); err != nil {
		m.fault("TLS", err)
	}
	if !reflect.DeepEqual(set.ACME, before.ACME) {
		m.order()
	}
	ask(m.look)
	m.warnOfExpiry()
	m.warnOfNames()
}

// ask puts a request into a channel, if none is there.
func ask(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Settings are the settings that count now.
func (m *Manager) Settings() Settings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set
}

// files returns the operator's files, or the self-signed certificate's.
func (s *Settings) files() ([]tlsio.CertFile, error) {
	if len(s.Files) > 0 {
		return s.Files, nil
	}
	file := s.file(SelfSignedFile)
	f, err := perms.OpenOrRemake(file, "clients that have pinned the self-signed certificate refuse the new one", s.Log,
		func() (tlsio.CertFile, error) { return SelfSigned(file, s.Names, time.Now()) })
	if err != nil {
		err = fmt.Errorf("tls.self_signed: %w", err)
	}
	return []tlsio.CertFile{f}, err
}

// rotate gives the ticket keys to all configurations except for SMTP from other hosts,
// which does not resume sessions.
func (m *Manager) rotate() error {
	return m.tickets.Rotate(time.Now(), m.configs.SMTPS, m.configs.POP3, m.configs.POP3S, m.configs.HTTPS)
}

// Start begins to reload changed files, to rotate ticket keys and to renew certificates by
// ACME, until Close.
func (m *Manager) Start() {
	m.ended.Go(func() {
		look, renew := time.NewTicker(m.Settings().ReloadEvery), time.NewTicker(renewEvery)
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
			case <-m.look:
				look.Reset(m.Settings().ReloadEvery)
				continue
			case <-renew.C:
				m.obtain()
				continue
			case got := <-m.obtained:
				m.use(got)
				continue
			case <-look.C:
			}
			m.reload(force)
		}
	})
}

// Reload reads the files again, soon.
func (m *Manager) Reload() { ask(m.reloadNow) }

// reload reads the certificates again if a file has changed, or with force, and rotates the
// ticket keys. With force it makes a self-signed certificate again that was removed.
func (m *Manager) reload(force bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if force {
		_, err = m.set.files()
	}
	loaded := false
	if err == nil {
		loaded, err = m.watch.Reload(force)
	}
	switch {
	case err != nil:
		m.fault("new TLS certificates can't be used, the old ones stay in use", err)
	case loaded:
		m.set.Log.Info("TLS certificates loaded")
		m.warnOfExpiry()
	}
	if err := m.rotate(); err != nil {
		m.fault("TLS", err)
	}
}

// Expires returns when the first certificate expires, and a name in it.
func (m *Manager) Expires() (at time.Time, name string) { return m.store.Expires() }

// warnOfExpiry warns of a certificate that expires.
func (m *Manager) warnOfExpiry() {
	if at, name := m.Expires(); time.Until(at) < expiryWarning {
		m.set.Log.Warn("TLS certificate for "+name+" expires soon or has expired: renew it", "not_after", at)
	}
}

// warnOfNames warns of a self-signed certificate that lacks a name.
func (m *Manager) warnOfNames() {
	if len(m.set.Files) > 0 || len(m.set.ACME.Domains) > 0 {
		return
	}
	if missing := m.store.Lacks(certified(m.set.Names)); len(missing) > 0 {
		m.set.Log.Warn("the self-signed certificate is not for " + strings.Join(missing, ", ") +
			": it was made for other names, and is kept because clients may have pinned it. For a new one remove " + m.set.file(SelfSignedFile) + " and reload")
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
