package engine

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
// at it. It may take minutes, and nobody waits for it, not even the end.
func (t *tlsEdge) obtain() {
	if t.acme == nil || !t.asking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		certs, err := t.acme.Certificates()
		t.asking.Store(false)
		select {
		case t.obtained <- obtained{certs, err}:
		case <-t.stop:
		}
	}()
}

// use has what was obtained serve. Those that could not be had keep what was there.
func (t *tlsEdge) use(got obtained) {
	if got.err != nil {
		t.log.fault("ACME, tried again in "+renewEvery.String()+" or at SIGHUP", got.err)
	}
	if len(got.certs) == 0 {
		return
	}
	t.certs.Obtained(got.certs)
	t.log.info("TLS certificates of ACME are in use")
	t.warnOfExpiry()
}

// ACMEHandler answers the authority of tls.acme_domains at tls.acme_listen; nil: there
// are none.
func (srv *Server) ACMEHandler() http.Handler {
	if srv.tls == nil || srv.tls.acme == nil {
		return nil
	}
	return srv.tls.acme.Handler()
}
