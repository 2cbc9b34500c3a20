package certs

import (
	"crypto/tls"
	"net/http"
	"time"

	"postrider/engine/edge/certs/acme"
)

// renewEvery is how often obtain looks for renewed certificates, and tries again after a
// failure. Authorities refuse clients that fail more than a few times an hour.
const renewEvery = time.Hour

// obtained is the result of obtain.
type obtained struct {
	by    *acme.Manager
	certs []*tls.Certificate
	err   error
}

// obtain gets the certificates by ACME on a goroutine of its own, unless one runs already.
// It may take minutes, and nothing waits for it, not even Close.
func (m *Manager) obtain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := m.acme
	if by == nil || m.asking == by {
		return
	}
	m.asking = by
	go func() {
		certs, err := by.Certificates()
		m.mu.Lock()
		if m.asking == by {
			m.asking = nil
		}
		m.mu.Unlock()
		select {
		case m.obtained <- obtained{by, certs, err}:
		case <-m.stop:
		}
	}()
}

// use replaces certificates by the obtained ones. Without a new one the old one stays in
// use. What was asked for by other settings is not used.
func (m *Manager) use(got obtained) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if got.by != m.acme {
		return
	}
	if got.err != nil {
		m.fault("ACME failed, retrying in "+renewEvery.String()+" or at SIGHUP", got.err)
	}
	if len(got.certs) == 0 {
		return
	}
	m.store.Obtained(got.certs)
	m.set.Log.Info("TLS certificates by ACME loaded")
	m.warnOfExpiry()
}

// ACMEHandler answers the authority at port 80. Without certificates by ACME it answers 404.
func (m *Manager) ACMEHandler() http.Handler {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		return http.NotFoundHandler()
	}
	return m.answers
}
