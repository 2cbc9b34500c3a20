// Package acme gets certificates from an authority by ACME (RFC 8555), such as Let's
// Encrypt, and renews them in time. The protocol is autocert's; this package asks it in
// the background, so that no handshake ever waits for the authority: until there is a
// certificate, and while a renewal fails, what was there before serves on.
//
//	m := acme.New(acme.Options{Domains: ..., Folder: ...})
//	go http.Serve(port80, m.Handler())      // what the authority looks at (http-01)
//	certs, err := m.Certificates()          // on a goroutine that may wait for minutes
//
// The key of the account and the certificates are in a folder of 0700. Two servers
// that share a name need a balancer that brings the authority's question to the one
// that asked for the certificate.
//
// # Tried and dropped
//
// autocert's GetCertificate in the handshake, as web servers have it: the first client
// waits for the authority, and its handshake holds one of a few tokens meanwhile.
package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Options are what a Manager needs to know.
type Options struct {
	Domains   []string // a certificate for each
	Directory string   // URL of the authority's directory
	Email     string   // where it writes to when something is wrong; may be empty
	Folder    string   // made if it is not there
	HTTP      *http.Client
}

// Manager gets and renews certificates. Its methods may be called by any goroutine.
type Manager struct {
	domains []string
	auto    autocert.Manager
}

// New makes a Manager. Whoever calls it has accepted the authority's terms.
func New(o Options) *Manager {
	return &Manager{domains: o.Domains, auto: autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Folder), HostPolicy: autocert.HostWhitelist(o.Domains...),
		Email: o.Email, Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.HTTP, UserAgent: "postrider"},
	}}
}

// Handler answers the authority at port 80 of each domain, and no other client. Without
// a call of it the authority is not asked for anything.
func (m *Manager) Handler() http.Handler { return m.auto.HTTPHandler(http.NotFoundHandler()) }

// hello is what a client says that takes certificates with ECDSA keys, the cheap ones.
func hello(domain string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: domain, SupportedCurves: []tls.CurveID{tls.CurveP256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

// Certificates returns those that are there, in the order of the domains, and gets the
// ones that are missing, which may take minutes. It is to be called again and again:
// autocert renews in the background, and the next call returns what is new. The error joins
// what went wrong with single domains.
func (m *Manager) Certificates() (certs []*tls.Certificate, err error) {
	var errs []error
	for _, domain := range m.domains {
		c, err := m.auto.GetCertificate(hello(domain))
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate for %s: %w", domain, err))
			continue
		}
		certs = append(certs, c)
	}
	return certs, errors.Join(errs...)
}
