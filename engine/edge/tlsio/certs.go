package tlsio

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// CertFile names the PEM files of one certificate: the chain, leaf first, and its
// key, which may be one file.
type CertFile struct{ Cert, Key string }

// CertStore has the certificates of a server and picks one for each client. Its
// methods may be called from any goroutine; Pick never waits.
type CertStore struct {
	now atomic.Pointer[certificates]

	mu               sync.Mutex // held by changes of the store
	loaded, obtained []*tls.Certificate
}

// certificates is one consistent load; it never changes.
type certificates struct {
	byName map[string][]*tls.Certificate // in lower case; "*.example.org" as it is in the certificate
	all    []*tls.Certificate            // for all other names
}

// Load reads the files, whose certificates replace the ones before. After an error
// nothing has changed: half a renewal is never used. The first file's certificate is
// for clients that ask for no name, or for a name that no certificate has.
func (s *CertStore) Load(files []CertFile) error {
	var loaded []*tls.Certificate
	var errs []error
	for _, f := range files {
		cert, err := loadPair(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		loaded = append(loaded, cert)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(loaded) == 0 {
		return errors.New("no certificate files given")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = loaded
	s.publish()
	return nil
}

// Lacks returns the names that no certificate has.
func (s *CertStore) Lacks(names []string) (missing []string) {
	for _, name := range names {
		if s.now.Load().byName[name] == nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// Obtained adds certificates that are in no file. They replace the ones that were
// obtained before. For a name that files have too, and for clients that ask for no
// name, these come first.
func (s *CertStore) Obtained(certs []*tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.obtained = certs
	s.publish()
}

// publish makes the next snapshot.
func (s *CertStore) publish() {
	c := &certificates{byName: make(map[string][]*tls.Certificate), all: slices.Concat(s.obtained, s.loaded)}
	for _, cert := range c.all {
		for _, name := range namesOf(cert.Leaf) {
			c.byName[name] = append(c.byName[name], cert)
		}
	}
	byCost(c.all)
	for _, certs := range c.byName {
		byCost(certs)
	}
	s.now.Store(c)
}

func loadPair(f CertFile) (*tls.Certificate, error) {
	chain, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
		}
	}
	return &cert, nil
}

// namesOf are the names that a certificate is for, in lower case.
func namesOf(leaf *x509.Certificate) []string {
	names := leaf.DNSNames
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(strings.TrimSuffix(name, "."))
	}
	return lower
}

// byCost puts keys that sign fast before RSA keys, which take thirty times as
// long, and leaves the order as it is otherwise.
func byCost(certs []*tls.Certificate) {
	slices.SortStableFunc(certs, func(a, b *tls.Certificate) int { return cmp.Compare(cost(a), cost(b)) })
}

func cost(c *tls.Certificate) int {
	var public crypto.PublicKey = c.Leaf.PublicKey
	switch public.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey:
		return 1
	}
	return 2
}

// Pick is for tls.Config.GetCertificate: the first certificate for the name that
// the client asks for whose key it can check. A name without a certificate is no
// reason to turn a client away: mail servers ask for the names of their MX records, or
// for none, and most of them check nothing.
func (s *CertStore) Pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, err := s.pick(hello)
	if w, ok := hello.Conn.(*wire); ok {
		w.chosen = cert // for the binding to it
	}
	return cert, err
}

func (s *CertStore) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.now.Load()
	if c == nil {
		return nil, errors.New("no certificate is loaded")
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	certs := c.byName[name]
	if certs == nil {
		if _, domain, ok := strings.Cut(name, "."); ok {
			certs = c.byName["*."+domain]
		}
	}
	if certs == nil {
		certs = c.all
	}
	anyName := *hello
	anyName.ServerName = "" // or a certificate of another name would count as unsupported
	for _, cert := range certs {
		if anyName.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return certs[0], nil // crypto/tls reports what is wrong
}

// Expires returns when the first of the certificates expires, and its name.
func (s *CertStore) Expires() (at time.Time, name string) {
	c := s.now.Load()
	if c == nil {
		return at, ""
	}
	for _, cert := range c.all {
		if at.IsZero() || cert.Leaf.NotAfter.Before(at) {
			at, name = cert.Leaf.NotAfter, cmp.Or(strings.Join(namesOf(cert.Leaf), " "), cert.Leaf.Subject.String())
		}
	}
	return at, name
}
