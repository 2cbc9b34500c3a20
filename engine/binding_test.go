package engine

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
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"postrider/codec/sasl"
)

// handshake connects two ends with a certificate that key signs for itself.
func handshake(t *testing.T, version uint16, key crypto.Signer, alg x509.SignatureAlgorithm) (server, client tls.ConnectionState, ours *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: alg}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, SessionTicketsDisabled: true})
	c := tls.Client(b, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	failed := make(chan error, 1)
	go func() { failed <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), c.ConnectionState(), ours
}

// What we bind to is what a client of another make binds to.
func TestChannelBindingIsThatOfTheClient(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := func(version uint16, key crypto.Signer, alg x509.SignatureAlgorithm) {
		t.Helper()
		server, client, ours := handshake(t, version, key, alg)
		bind := channelBinding(&server, ours)
		exporter, err := scram.NewTLSExporterBinding(&client)
		if err != nil || !bytes.Equal(bind(sasl.TLSExporter), exporter.Data) {
			t.Errorf("%v: tls-exporter %x, the client has %x (%v)", alg, bind(sasl.TLSExporter), exporter.Data, err)
		}
		end, err := scram.NewTLSServerEndpointBinding(&client)
		if err != nil || !bytes.Equal(bind(sasl.TLSServerEndPoint), end.Data) {
			t.Errorf("%v: tls-server-end-point %x, the client has %x (%v)", alg, bind(sasl.TLSServerEndPoint), end.Data, err)
		}
		if bind("tls-unique") != nil || channelBinding(&server, nil)(sasl.TLSServerEndPoint) != nil || !sasl.Binds(bind) {
			t.Error("a binding that is not there, or none")
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
	server, _, ours := handshake(t, tls.VersionTLS13, ed, x509.PureEd25519)
	if got := channelBinding(&server, ours)(sasl.TLSServerEndPoint); got != nil {
		t.Errorf("Ed25519 has no hash to bind with, got %x", got)
	}
}
