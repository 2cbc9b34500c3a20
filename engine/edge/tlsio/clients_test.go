package tlsio

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// issuer is an authority for certificates of clients.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	i := &issuer{key: key, file: filepath.Join(t.TempDir(), "roots.pem")}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err == nil {
		i.cert, err = x509.ParseCertificate(der)
	}
	if err == nil {
		err = os.WriteFile(i.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// issue makes a client's certificate that ends after so long.
func (i *issuer) issue(t *testing.T, name string, lasts time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A client that is asked for a certificate may have none and is served. A client
// that must have one needs one of a known authority that is valid now.
func TestCertificatesOfClients(t *testing.T) {
	ours, other := newIssuer(t, "ours"), newIssuer(t, "other")
	good, late, foreign := ours.issue(t, "alice", time.Hour), ours.issue(t, "late", -time.Minute), other.issue(t, "mallory", time.Hour)
	each(t, func(t *testing.T, v uint16) {
		clients := new(ClientStore)
		if err := clients.Load(ours.file); err != nil {
			t.Fatal(err)
		}
		f := func(demanded bool, cert *tls.Certificate, name string, served bool) {
			t.Helper()
			h := NewHandshaker(2, 10)
			h.Clients.Store(clients)
			dial := client(v)
			if cert != nil {
				dial.Certificates = []tls.Certificate{*cert}
			}
			s, _, err := agree(t, h, Policy{MinVersion: v, Clients: clients, Demanded: demanded}.Config(store(t)), dial, new(Scratch), new(Scratch), whole)
			if (err == nil) != served {
				t.Errorf("demanded %v, %s: %v", demanded, name, err)
				return
			}
			if err != nil {
				return
			}
			got := ""
			if c := s.Facts().Client; c != nil {
				got = c.Subject.CommonName
			}
			if got != name {
				t.Errorf("demanded %v: the client is %q, should be %q", demanded, got, name)
			}
		}
		f(false, &good, "alice", true)
		f(false, nil, "", true)
		f(false, &late, "", true)
		f(false, &foreign, "", true)
		f(true, &good, "alice", true)
		f(true, nil, "", false)
		f(true, &late, "late", false)
		f(true, &foreign, "mallory", false)

		if err := clients.Load(other.file); err != nil {
			t.Fatal(err)
		}
		f(false, &good, "", true)
		f(true, &foreign, "mallory", true)
		if err := clients.Load("/dev/null"); err == nil {
			t.Error("an empty file was loaded")
		}
		f(true, &foreign, "mallory", true) // the ones before serve on
	})
}

// A session that is resumed is that of the same client; of none, if the authority
// is not known any more.
func TestCertificateOfAClientThatComesAgain(t *testing.T) {
	ours, other := newIssuer(t, "ours"), newIssuer(t, "other")
	each(t, func(t *testing.T, v uint16) {
		clients := new(ClientStore)
		if err := clients.Load(ours.file); err != nil {
			t.Fatal(err)
		}
		h := NewHandshaker(2, 10)
		h.Clients.Store(clients)
		serve := Policy{MinVersion: v, Clients: clients, Tickets: true}.Config(store(t))
		dial := client(v)
		dial.Certificates = []tls.Certificate{ours.issue(t, "alice", time.Hour)}
		dial.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		again := func() Facts {
			t.Helper()
			s, c, err := agree(t, h, serve, dial, new(Scratch), new(Scratch), whole)
			if err != nil {
				t.Fatal(err)
			}
			c.mustOpen(t, s.mustSeal(t, "x"), "x")
			return s.Facts()
		}
		if f := again(); f.Resumed || f.Client == nil {
			t.Fatalf("at first: %+v", f)
		}
		if f := again(); !f.Resumed || f.Client == nil || f.Client.Subject.CommonName != "alice" {
			t.Errorf("again: %+v", f)
		}
		if err := clients.Load(other.file); err != nil {
			t.Fatal(err)
		}
		if f := again(); f.Client != nil {
			t.Errorf("with other authorities: %+v", f)
		}
	})
}
