package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"time"

	"postrider/codec/address"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/disk"
	"postrider/engine/host/perms"
)

// selfSignedLife is long, because a self-signed certificate is not renewed.
const selfSignedLife = 10 * 365 * 24 * time.Hour

// SelfSigned checks that file has a certificate and its key. If there is no file, it makes
// one with a self-signed certificate for these names and for the loopback addresses of this
// host. Such a certificate keeps eavesdroppers out; clients that verify certificates refuse it.
func SelfSigned(file string, names []string, now time.Time) (tlsio.CertFile, error) {
	pair := tlsio.CertFile{Cert: file, Key: file}
	_, err := os.Stat(file)
	if err == nil {
		if _, err := tls.LoadX509KeyPair(file, file); err != nil && !errors.Is(err, fs.ErrPermission) {
			return pair, fmt.Errorf("%s: %w: %w: the self-signed certificate of this server", file, perms.ErrDamaged, err)
		}
		return pair, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return pair, err
	}
	names = certified(slices.Concat(names, []string{"localhost"}))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   now.Add(-time.Hour), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair, fmt.Errorf("self-signed certificate for %v: %w", names, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, err
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return pair, disk.WriteFile(file, b.Bytes())
}

// certified returns names for a certificate: with A-labels (RFC 5280 section 7.2), without
// names that are not valid in DNS.
func certified(names []string) (dns []string) {
	for _, name := range names {
		if name = address.FoldDomain(name); address.IsDNS(name) && !slices.Contains(dns, name) {
			dns = append(dns, name)
		}
	}
	return dns
}
