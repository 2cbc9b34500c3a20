package tlspolicy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Trust is what is known of the other side of a connection, by how.
type Trust struct {
	Verified bool
	How      string // "DANE-EE 3 1 1", "the authorities"; "" when it is not verified
}

// Word is Postfix's word for it. "Untrusted" means that the certificate was not checked,
// or was not good enough; where it had to be, there is no connection.
func (t Trust) Word() string {
	if t.Verified {
		return "Verified"
	}
	return "Untrusted"
}

// errNoMatch is what is wrong with a certificate that no record names.
var errNoMatch = errors.New("no TLSA record matches the certificate")

// Check reports whether a chain of certificates, the host's own first, is what is
// demanded. roots are the known authorities.
func (d *Demand) Check(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) (Trust, error) {
	if d.Level < Verify {
		return Trust{}, nil
	}
	if len(chain) == 0 {
		return Trust{}, errors.New("the host has sent no certificate")
	}
	if d.Level == DANE {
		return d.checkDANE(chain, now)
	}
	if err := verify(chain, roots, d.Names[0], now); err != nil {
		return Trust{}, fmt.Errorf("%s demands it: %w", d.By, err)
	}
	return Trust{true, "the authorities"}, nil
}

// TestPolicy returns what a policy in testing mode would find wrong with a host.
func (d *Demand) TestPolicy(sts *STS, chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if !sts.Allows(d.Names[0]) {
		return fmt.Errorf("%s %w", d.Names[0], errNotListed)
	}
	if len(chain) == 0 {
		return errors.New("the host has no TLS")
	}
	return verify(chain, roots, d.Names[0], now)
}

// checkDANE matches the chain with the records (RFC 7672 section 3.1).
func (d *Demand) checkDANE(chain []*x509.Certificate, now time.Time) (Trust, error) {
	for _, r := range d.Records {
		if r.Usage == usageEE && r.names(chain[0]) {
			return Trust{true, r.String()}, nil
		}
	}
	fault := errNoMatch
	for _, r := range d.Records {
		if r.Usage != usageTA {
			continue
		}
		anchors := x509.NewCertPool()
		found := false
		for _, c := range chain[1:] {
			if r.names(c) {
				anchors.AddCert(c)
				found = true
			}
		}
		if c := r.anchor(); c != nil {
			anchors.AddCert(c)
			found = true
		}
		if !found {
			continue
		}
		for _, name := range d.Names {
			err := verify(chain, anchors, name, now)
			if err == nil {
				return Trust{true, r.String()}, nil
			}
			fault = fmt.Errorf("%s: %w", r, err)
		}
	}
	return Trust{}, fault
}

// verify checks the first certificate of a chain, with the others between it and
// an authority.
func verify(chain []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) error {
	if roots == nil {
		roots = x509.NewCertPool() // empty: without a pool the system's would be read
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), DNSName: name, CurrentTime: now}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}
