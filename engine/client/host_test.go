package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// On this host a certificate that signs itself is trusted, whatever its name, while it is
// valid; one of an unknown authority is not.
func TestVerifyLocal(t *testing.T) {
	issuer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := func(subject, issuedBy string, signer *ecdsa.PrivateKey, until time.Duration, want bool) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject}, DNSNames: []string{"mx.example"},
			NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(until)}
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: issuedBy}}, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		err = verifyLocal(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, ServerName: "127.0.0.1"})
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); (err == nil) != want || err != nil && !ok {
			t.Errorf("%s by %s: %v, want trust %v", subject, issuedBy, err, want)
		}
	}
	f("mx.example", "mx.example", nil, time.Hour, true)
	f("mx.example", "mx.example", nil, -time.Hour, false)
	f("mx.example", "an authority", issuer, time.Hour, false)
	f("mx.example", "mx.example", issuer, time.Hour, false) // the name alone is no signature
}

// To another host nothing goes in clear text, unless the option allows it.
func TestClearText(t *testing.T) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	greeted := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			greeted <- struct{}{}
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil {
			continue
		}
		h := &Host{Addr: net.JoinHostPort(ip.IP.String(), port), Security: Clear}
		c, err := h.dial(t.Context())
		if err == nil {
			_ = c.Close()
		}
		if refused := err != nil && strings.Contains(err.Error(), "read on the way"); refused == ip.IP.IsLoopback() {
			t.Errorf("%s: %v", ip.IP, err)
		}
		h.ClearText = true
		if c, err := h.dial(t.Context()); err != nil {
			t.Errorf("%s, allowed: %v", ip.IP, err)
		} else {
			_ = c.Close()
		}
		tried++
	}
	if tried == 0 {
		t.Skip("there is no interface with an IPv4 address")
	}
}
