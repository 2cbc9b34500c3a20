package tlspolicy

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
)

// TLSA is a record that names a certificate (RFC 6698).
type TLSA struct {
	Usage    uint8
	Selector uint8 // 0: the certificate, 1: its public key
	Matching uint8 // 0: all of it, 1: SHA-256, 2: SHA-512
	Data     []byte
}

// The usages that count for SMTP (RFC 7672 section 3.1).
const (
	usageTA = 2 // an authority
	usageEE = 3 // the host's own certificate
)

// String is the record's kind, as in "DANE-EE 3 1 1".
func (r TLSA) String() string {
	name := map[uint8]string{usageTA: "DANE-TA ", usageEE: "DANE-EE "}[r.Usage]
	return fmt.Sprintf("%s%d %d %d", name, r.Usage, r.Selector, r.Matching)
}

// Usable reports whether the record is usable for SMTP. A record whose digest has the
// wrong length is malformed, and could only fail.
func (r TLSA) Usable() bool {
	length := map[uint8]int{0: len(r.Data), 1: sha256.Size, 2: sha512.Size}
	n, known := length[r.Matching]
	return known && r.Selector <= 1 && (r.Usage == usageTA || r.Usage == usageEE) && len(r.Data) == n && n > 0
}

// names reports whether the record is about this certificate.
func (r TLSA) names(c *x509.Certificate) bool {
	octets := c.Raw
	if r.Selector == 1 {
		octets = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case 1:
		sum := sha256.Sum256(octets)
		octets = sum[:]
	case 2:
		sum := sha512.Sum512(octets)
		octets = sum[:]
	}
	return bytes.Equal(octets, r.Data)
}

// anchor is the authority that the record holds as a whole, or nil.
func (r TLSA) anchor() *x509.Certificate {
	if r.Usage != usageTA || r.Selector != 0 || r.Matching != 0 {
		return nil
	}
	c, err := x509.ParseCertificate(r.Data)
	if err != nil {
		return nil
	}
	return c
}
