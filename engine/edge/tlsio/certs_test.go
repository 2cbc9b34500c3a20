package tlsio

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shown is the certificate that a client of this configuration gets.
func shown(t testing.TB, s *CertStore, cfg *tls.Config) *x509.Certificate {
	t.Helper()
	_, c := mustAgree(t, server(s), cfg)
	return c.conn.ConnectionState().PeerCertificates[0]
}

func TestPick(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(24*time.Hour)
	files := []CertFile{
		certificate(t, dir, "mx-rsa", true, later, "mx.example.org"),
		certificate(t, dir, "mx", false, later, "mx.example.org"),
		certificate(t, dir, "wild", false, later, "*.Example.NET", "example.net"),
		certificate(t, dir, "old", true, later, "old.example.com"),
	}
	s := new(CertStore)
	if err := s.Load(files); err != nil {
		t.Fatal(err)
	}
	f := func(name string, rsaOnly bool, want string, algorithm x509.PublicKeyAlgorithm) {
		t.Helper()
		cfg := client(tls.VersionTLS12)
		cfg.ServerName = name
		if rsaOnly {
			cfg.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		}
		if leaf := shown(t, s, cfg); leaf.DNSNames[0] != want || leaf.PublicKeyAlgorithm != algorithm {
			t.Errorf("%q (RSA only: %v) got %v with %v", name, rsaOnly, leaf.DNSNames, leaf.PublicKeyAlgorithm)
		}
	}
	f("mx.example.org", false, "mx.example.org", x509.ECDSA)
	f("MX.example.ORG", false, "mx.example.org", x509.ECDSA)
	f("mx.example.org", true, "mx.example.org", x509.RSA)
	f("old.example.com", false, "old.example.com", x509.RSA)
	f("any.example.net", false, "*.Example.NET", x509.ECDSA)
	f("example.net", false, "*.Example.NET", x509.ECDSA)
	f("deep.any.example.net", false, "mx.example.org", x509.ECDSA) // a wildcard is for one label
	f("nobody.example", false, "mx.example.org", x509.ECDSA)
	f("", false, "mx.example.org", x509.ECDSA)
	f("", true, "mx.example.org", x509.RSA)
}

func TestLoadChangesAllOrNothing(t *testing.T) {
	dir, soon, later := t.TempDir(), time.Now().Add(time.Hour), time.Now().Add(48*time.Hour)
	good, other := certificate(t, dir, "good", false, soon, "mx.test"), certificate(t, dir, "other", false, later, "mx.test")
	s := new(CertStore)
	if _, err := s.Pick(&tls.ClientHelloInfo{}); err == nil {
		t.Error("an empty store picks")
	}
	if err := s.Load([]CertFile{good, other}); err != nil {
		t.Fatal(err)
	}
	at, name := s.Expires()
	if at.Sub(soon).Abs() > time.Second || name != "mx.test" {
		t.Errorf("expires %v, %s", at, name)
	}
	before := s.now.Load()
	f := func(want string, files ...CertFile) {
		t.Helper()
		if err := s.Load(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if s.now.Load() != before {
			t.Error("it was replaced all the same")
		}
	}
	f("private key does not match", other, CertFile{good.Cert, other.Key})
	f("no such file", other, CertFile{filepath.Join(dir, "none"), good.Key})
	f("no such file", other, CertFile{good.Cert, filepath.Join(dir, "none")})
	f("failed to find", CertFile{good.Key, good.Cert})
	f("no certificate files given")
}
