package certs

import (
	"crypto/tls"
	"net/http"
	"time"
)

// renewEvery is how often obtain looks for renewed certificates, and tries again after a
// failure. Authorities refuse clients that fail more than a few times an hour.
const renewEvery = time.Hour

// obtained is the result of obtain.
type obtained struct {
	certs []*tls.Certificate
	err   error
}

// obtain gets the certificates by ACME on a goroutine of its own, unless one runs already.
// It may take minutes, and nothing waits for it, not even Close.
func (m *Manager) obtain() {
	if m.acme == nil || !m.asking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		certs, err := m.acme.Certificates()
		m.asking.Store(false)
		select {
		case m.obtained <- obtained{certs, err}:
		case <-m.stop:
		}
	}()
}

// use replaces certificates by the obtained ones. Without a new one the old one stays in
// use.
func (m *Manager) use(got obtained) {
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

// ACMEHandler answers the authority at port 80. It is nil without certificates by ACME.
func (m *Manager) ACMEHandler() http.Handler {
	if m.acme == nil {
		return nil
	}
	return m.acme.Handler()
}
