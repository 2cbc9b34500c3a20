package tlsio

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// hang is how long a test waits before it reports that something hangs.
const hang = 30 * time.Second

// certificate writes a self-signed certificate and its key to dir.
func certificate(t testing.TB, dir, name string, useRSA bool, until time.Time, names ...string) CertFile {
	t.Helper()
	var signer crypto.Signer
	var err error
	if useRSA {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	f := CertFile{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for file, block := range map[string]*pem.Block{f.Cert: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// store has one self-signed certificate.
func store(t testing.TB) *CertStore {
	t.Helper()
	f := certificate(t, t.TempDir(), "x", false, time.Now().Add(24*time.Hour), "mx.test")
	s := new(CertStore)
	if err := s.Load([]CertFile{f}); err != nil {
		t.Fatal(err)
	}
	return s
}

func server(s *CertStore) *tls.Config { return Policy{MinVersion: tls.VersionTLS12}.Config(s) }

func client(v uint16) *tls.Config {
	return &tls.Config{MinVersion: v, MaxVersion: v, InsecureSkipVerify: true, ServerName: "mx.test"} //nolint:gosec // a test
}

// end is one end of a handshake in memory.
type end struct {
	*Handshake
	reports chan struct{}
	queue   []byte // what the other end has sent and this one has not read
}

func (e *end) wait(t testing.TB) {
	t.Helper()
	select {
	case <-e.reports:
	case <-time.After(hang):
		t.Fatal("a handshake neither needs input nor ends")
	}
}

// asClient starts a handshake as client: Start of the other role.
func asClient(h *Handshaker, cfg *tls.Config, scratch *Scratch) *end {
	e := &end{reports: make(chan struct{}, 1)}
	h.open.Add(1)
	e.Handshake = &Handshake{of: h, session: &Session{scratch: scratch}, input: make(chan []byte, 1), report: func() { e.reports <- struct{}{} }}
	e.session.wire.more = e.more
	e.session.conn = tls.Client(&e.session.wire, cfg)
	go e.run()
	return e
}

func asServer(h *Handshaker, cfg *tls.Config, in []byte, scratch *Scratch) *end {
	e := &end{reports: make(chan struct{}, 1)}
	e.Handshake = h.Start(cfg, in, scratch, func() { e.reports <- struct{}{} })
	return e
}

// cutter returns how many of n octets come next, 1 to n.
type cutter func(n int) int

func whole(n int) int { return n }

// agree has two ends agree on TLS, with cuts where the network makes them.
func agree(t testing.TB, h *Handshaker, serve, dial *tls.Config, a, b *Scratch, cut cutter) (s, c *Session, err error) {
	t.Helper()
	client := asClient(h, dial, b)
	client.wait(t)
	hello := client.Output()
	n := cut(len(hello))
	server := asServer(h, serve, bytes.Clone(hello[:n]), a)
	server.queue = append(server.queue, hello[n:]...)
	server.wait(t)
	client.queue = append(client.queue, server.Output()...)
	for !server.Done() || !client.Done() {
		moved := false
		for _, e := range []struct{ to, from *end }{{server, client}, {client, server}} {
			if e.to.Done() || len(e.to.queue) == 0 {
				continue
			}
			n := cut(len(e.to.queue))
			e.to.Feed(bytes.Clone(e.to.queue[:n]))
			e.to.queue = e.to.queue[n:]
			e.to.wait(t)
			e.from.queue = append(e.from.queue, e.to.Output()...)
			moved = true
		}
		if !moved { // one end has failed, and the other waits
			server.Abort()
			client.Abort()
			break
		}
	}
	if s, err = server.Session(); err != nil {
		return nil, nil, err
	}
	if c, err = client.Session(); err != nil {
		return nil, nil, err
	}
	if len(server.queue) > 0 {
		t.Errorf("the client said %d octets too many", len(server.queue))
	}
	// Tickets may be left over: they are the session's.
	if _, _, err := c.Open(client.queue, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return s, c, nil
}

func mustAgree(t testing.TB, serve, dial *tls.Config) (s, c *Session) {
	t.Helper()
	s, c, err := agree(t, NewHandshaker(2, 10), serve, dial, new(Scratch), new(Scratch), whole)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// seal and open are for ends that want no error.
func (s *Session) mustSeal(t testing.TB, text string) []byte {
	t.Helper()
	wire, err := s.Seal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(wire)
}

func (s *Session) mustOpen(t testing.TB, wire []byte, want string) {
	t.Helper()
	plain := make([]byte, 64<<10)
	n, _, err := s.Open(wire, plain)
	if err != nil || string(plain[:n]) != want {
		t.Fatalf("got %q, %v; want %q", plain[:n], err, want)
	}
}

var versionsTested = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// each runs f for the versions.
func each(t *testing.T, f func(t *testing.T, v uint16)) {
	for _, v := range versionsTested {
		t.Run(tls.VersionName(v), func(t *testing.T) { f(t, v) })
	}
}

func TestFactsOfASession(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		s, c := mustAgree(t, server(store(t)), client(v))
		f := s.Facts()
		if f.Version != versions[v] || f.Cipher == "" || f.ServerName != "mx.test" || f.Resumed || f.Client != nil {
			t.Errorf("%+v", f)
		}
		ours, theirs := s.ChannelBinding(tlsExporter), c.ChannelBinding(tlsExporter)
		if len(ours) != 32 || !bytes.Equal(ours, theirs) {
			t.Errorf("bindings %x and %x", ours, theirs)
		}
		leaf := c.conn.ConnectionState().PeerCertificates[0]
		if got := s.ChannelBinding(tlsServerEndPoint); !bytes.Equal(got, endPoint(leaf)) || len(got) != 32 {
			t.Errorf("binding to the certificate %x, want %x", got, endPoint(leaf))
		}
		if s.ChannelBinding("tls-unique") != nil {
			t.Error("a binding of an unknown type")
		}
	})
}

func TestCloseNotify(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		s, c := mustAgree(t, server(store(t)), client(v))
		wire := append(c.mustSeal(t, "last"), c.End()...)
		plain := make([]byte, 100)
		n, _, err := s.Open(wire, plain)
		if string(plain[:n]) != "last" || err != io.EOF {
			t.Fatalf("got %q, %v", plain[:n], err)
		}
		c.mustOpen(t, s.mustSeal(t, "still heard"), "still heard") // only one side has ended
		if _, _, err := c.Open(s.End(), plain); err != io.EOF {
			t.Errorf("our end: %v", err)
		}
	})
}

// A changed octet ends the session, with an alert, and what came before it stays valid.
func TestForgedRecord(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		s, c := mustAgree(t, server(store(t)), client(v))
		wire := c.mustSeal(t, "true")
		forged := c.mustSeal(t, "false")
		forged[len(forged)-1] ^= 1
		plain := make([]byte, 100)
		n, reply, err := s.Open(append(wire, forged...), plain)
		if string(plain[:n]) != "true" || err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("got %q, %v", plain[:n], err)
		}
		if _, _, err := c.Open(bytes.Clone(reply), plain); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the client was not alerted: %v", err)
		}
	})
}
