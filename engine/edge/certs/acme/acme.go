// Package acme gets certificates from an authority by ACME (RFC 8555), such as Let's
// Encrypt, and renews them in time. It calls package autocert in the background, so that no
// handshake waits for the authority. Until there is a certificate, and while a renewal
// fails, the earlier certificate stays in use.
//
//	m := acme.New(acme.Options{Domains: ..., Folder: ...})
//	go http.Serve(port80, m.Handler())      // answers http-01 challenges
//	certs, err := m.Certificates()          // on a goroutine that may wait for minutes
//
// The account's key and the certificates are in a folder with mode 0700. Two servers that
// share a name need a balancer that sends the challenge to the server that ordered the
// certificate.
//
// # Tried and dropped
//
// Calling autocert's GetCertificate in the handshake, as web servers do: the first client
// waits for the authority, and its handshake takes a place of tls.max_handshakes meanwhile.
package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Options are the settings for a Manager.
type Options struct {
	Domains   []string // each domain gets a certificate
	Directory string   // the URL of the authority's directory
	Email     string   // the authority's contact address; may be empty
	Folder    string   // made if missing
	HTTP      *http.Client
}

// Manager gets and renews certificates. Its methods may be called by any goroutine.
type Manager struct {
	domains []string
	auto    autocert.Manager
}

// New makes a Manager. Its caller accepts the authority's terms of service.
func New(o Options) *Manager {
	return &Manager{domains: o.Domains, auto: autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Folder), HostPolicy: autocert.HostWhitelist(o.Domains...),
		Email: o.Email, Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: o.HTTP, UserAgent: "postrider"},
	}}
}

// Handler answers the authority's challenges at each domain's port 80, and no other request.
// Certificates orders nothing before the first call of Handler.
func (m *Manager) Handler() http.Handler { return m.auto.HTTPHandler(http.NotFoundHandler()) }

// hello is the ClientHello of a client that supports ECDSA keys, which take least CPU.
func hello(domain string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: domain, SupportedCurves: []tls.CurveID{tls.CurveP256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	}
}

// Certificates returns the certificates, in the order of the domains, and gets missing ones,
// which may take minutes. Call it from time to time: autocert renews in the background, and
// the next call returns the renewed certificates. The error joins the errors of the domains
// that failed.
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
