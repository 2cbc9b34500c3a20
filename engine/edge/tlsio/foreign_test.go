package tlsio

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// signed is a store whose certificate a key has signed for itself, by an algorithm.
func signed(t *testing.T, key crypto.Signer, by x509.SignatureAlgorithm) *CertStore {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.test"}, NotAfter: time.Now().Add(24 * time.Hour), SignatureAlgorithm: by}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := CertFile{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for name, block := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: raw}, f.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := new(CertStore)
	if err := s.Load([]CertFile{f}); err != nil {
		t.Fatal(err)
	}
	return s
}

// What a session binds to is what a client of another make binds to.
func TestChannelBindingIsThatOfTheClient(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := func(version uint16, key crypto.Signer, by x509.SignatureAlgorithm) {
		t.Helper()
		s, c := mustAgree(t, server(signed(t, key, by)), client(version))
		state := c.conn.ConnectionState()
		exporter, err := scram.NewTLSExporterBinding(&state)
		if err != nil || !bytes.Equal(s.ChannelBinding(tlsExporter), exporter.Data) {
			t.Errorf("%v: tls-exporter %x, the client has %x (%v)", by, s.ChannelBinding(tlsExporter), exporter.Data, err)
		}
		end, err := scram.NewTLSServerEndpointBinding(&state)
		if err != nil || !bytes.Equal(s.ChannelBinding(tlsServerEndPoint), end.Data) {
			t.Errorf("%v: tls-server-end-point %x, the client has %x (%v)", by, s.ChannelBinding(tlsServerEndPoint), end.Data, err)
		}
	}
	f(tls.VersionTLS13, ec, x509.ECDSAWithSHA256)
	f(tls.VersionTLS12, ec, x509.ECDSAWithSHA384)
	f(tls.VersionTLS13, rs, x509.SHA512WithRSA)
	f(tls.VersionTLS13, rs, x509.SHA256WithRSAPSS)

	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := mustAgree(t, server(signed(t, ed, x509.PureEd25519)), client(tls.VersionTLS13))
	if got := s.ChannelBinding(tlsServerEndPoint); got != nil {
		t.Errorf("Ed25519 has no hash to bind with, got %x", got)
	}
}
