package certs

import (
	"crypto/tls"
	"net/http"
	"time"
)

// renewEvery is how often the certificates by ACME are looked after: whether there is
// a newer one, and whether one that could not be had can be had now. Authorities count
// failures, and lock out who fails more than a few times an hour.
const renewEvery = time.Hour

// obtained is what came of asking for certificates by ACME.
type obtained struct {
	certs []*tls.Certificate
	err   error
}

// obtain asks for the certificates by ACME on a goroutine of its own, unless one is
// at it. It may take minutes, and nothing waits for it, not even the end.
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

// use has what was obtained serve. Those that could not be had keep what was there.
func (m *Manager) use(got obtained) {
	if got.err != nil {
		m.fault("ACME, tried again in "+renewEvery.String()+" or at SIGHUP", got.err)
	}
	if len(got.certs) == 0 {
		return
	}
	m.store.Obtained(got.certs)
	m.set.Log.Info("TLS certificates of ACME are in use")
	m.warnOfExpiry()
}

// ACMEHandler answers the authority at port 80; nil: there is no certificate by ACME.
func (m *Manager) ACMEHandler() http.Handler {
	if m.acme == nil {
		return nil
	}
	return m.acme.Handler()
}
