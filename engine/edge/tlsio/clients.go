package tlsio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// ClientStore has the authorities whose certificates clients may present. Its methods
// may be called from any goroutine.
//
// The authorities are not named to clients, so that a new file takes effect without new
// configurations: a client presents the certificate that it was told to use.
type ClientStore struct{ roots atomic.Pointer[x509.CertPool] }

// Load reads a PEM file of authorities, which replace the ones before. After an
// error nothing has changed.
func (s *ClientStore) Load(file string) error {
	octets, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("certificate authorities for clients: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(octets) {
		return fmt.Errorf("certificate authorities for clients: %s has no certificate in PEM", file)
	}
	s.roots.Store(roots)
	return nil
}

// Verify returns why a chain, leaf first, is not a valid one of a client; nil: it is.
func (s *ClientStore) Verify(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the client has no certificate")
	}
	o := x509.VerifyOptions{Roots: s.roots.Load(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// ask makes cfg ask for a certificate. A client with none, or with one that proves
// nothing, is served if demanded is false: hosts that send mail present all kinds.
func (s *ClientStore) ask(cfg *tls.Config, demanded bool) {
	cfg.ClientAuth = tls.RequestClientCert
	if demanded {
		cfg.ClientAuth = tls.RequireAnyClientCert
		cfg.VerifyConnection = func(st tls.ConnectionState) error { return s.Verify(st.PeerCertificates) }
	}
}
