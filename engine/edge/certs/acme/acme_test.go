package acme

import (
	"net/http/httptest"
	"strings"
	"testing"

	"postrider/engine/edge/certs/acme/acmetest"
)

// A certificate is ordered once and kept in the folder. After a restart it needs no request
// to the authority.
func TestCertificatesAreKept(t *testing.T) {
	var at string
	authority := acmetest.Start(t, func(string) string { return at })
	folder := t.TempDir() + "/acme"
	begin := func(domains ...string) *Manager {
		m := New(Options{Domains: domains, Directory: authority.URL, Folder: folder})
		s := httptest.NewServer(m.Handler())
		t.Cleanup(s.Close)
		at = s.Listener.Addr().String()
		return m
	}
	m := begin("mx.example.org", "mail.example.org")
	certs, err := m.Certificates()
	if err != nil || len(certs) != 2 {
		t.Fatalf("%d certificates, %v", len(certs), err)
	}
	for i, domain := range []string{"mx.example.org", "mail.example.org"} {
		if err := certs[i].Leaf.VerifyHostname(domain); err != nil {
			t.Error(err)
		}
	}
	asked := authority.Asked()
	if again, err := m.Certificates(); err != nil || again[0] != certs[0] && again[0].Leaf.SerialNumber.Cmp(certs[0].Leaf.SerialNumber) != 0 {
		t.Errorf("another one: %v", err)
	}
	if again, err := begin("mx.example.org").Certificates(); err != nil || again[0].Leaf.SerialNumber.Cmp(certs[0].Leaf.SerialNumber) != 0 {
		t.Errorf("after a restart: %v", err)
	}
	if authority.Asked() != asked {
		t.Errorf("the authority was asked %d times more", authority.Asked()-asked)
	}
}

// A domain that fails does not keep the others from their certificates.
func TestOneDomainFails(t *testing.T) {
	var at string
	authority := acmetest.Start(t, func(domain string) string {
		if domain == "elsewhere.example.org" {
			return "127.0.0.1:1"
		}
		return at
	})
	m := New(Options{Domains: []string{"elsewhere.example.org", "mx.example.org"}, Directory: authority.URL, Folder: t.TempDir()})
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	at = s.Listener.Addr().String()
	certs, err := m.Certificates()
	if err == nil || !strings.Contains(err.Error(), "certificate for elsewhere.example.org: ") || len(certs) != 1 {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
}
