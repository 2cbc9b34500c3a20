package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// authority signs the certificates of a test. Clients trust it, so that they
// check names and chains as they do in life.
type authority struct {
	file string // PEM, for clients
	pool *x509.CertPool
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key := newKey(t, "ecdsa")
	template := template("postrider test authority")
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	a.file = write(t, "authority.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// newKey makes a private key of type ecdsa (P-256) or rsa (2048 bits).
func newKey(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		BasicConstraintsValid: true,
	}
}

// issue makes a certificate for names and 127.0.0.1, and returns the PEM of chain
// and key.
func (a *authority) issue(t *testing.T, kind string, names ...string) []byte {
	t.Helper()
	key := newKey(t, kind)
	template := template(names[0])
	template.DNSNames, template.IPAddresses = names, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

// trusts is the configuration of a client that knows the authority and nothing else.
func (a *authority) trusts() *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "mx.localhost"}
}

// secureServer is a server with every TLS mode, on ports of its own, that relays only
// after a login. extra is added to its configuration, ofTLS to the group [tls].
func secureServer(t *testing.T, a *authority, extra string, account string, ofTLS ...string) *server {
	t.Helper()
	s := newServer(t)
	s.addWithSecret(account)
	s.writeCertificate(a)
	s.configure(fmt.Sprintf("%s\n[tls]\ncertificates = [%q]\n%s", extra, s.certificate(), strings.Join(ofTLS, "\n")))
	s.args = append(s.args, "--smtps", "127.0.0.1:0", "--pop3s", "127.0.0.1:0")
	return s
}

// addWithSecret makes an account that has a secret besides, for CRAM-MD5.
func (s *server) addWithSecret(name string) {
	s.t.Helper()
	add := exec.Command(binary, "account", "add", name, "--apop", "--password-stdin", "--data", s.data)
	add.Stdin = strings.NewReader(password(name) + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		s.t.Fatalf("account add %s: %v\n%s", name, err, out)
	}
}

// certificate is the file that the server of secureServer reads.
func (s *server) certificate() string { return filepath.Join(filepath.Dir(s.data), "mx.pem") }

// writeCertificate puts a new certificate there, at once and whole.
func (s *server) writeCertificate(a *authority) {
	s.t.Helper()
	next := s.certificate() + ".new"
	if err := os.WriteFile(next, a.issue(s.t, "ecdsa", "mx.localhost", "localhost"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.certificate()); err != nil {
		s.t.Fatal(err)
	}
}

// renew is a renewal as an operator does it: a new file, and SIGHUP.
func (s *server) renew(a *authority) {
	s.t.Helper()
	s.writeCertificate(a)
	s.cmd.Process.Signal(syscall.SIGHUP)
}

// mode is a way to get TLS, by SMTP or POP3.
type mode bool

const (
	implicit mode = true  // TLS from the first octet
	upgraded mode = false // STARTTLS, STLS
)

func (m mode) String() string {
	if m == implicit {
		return "implicit"
	}
	return "upgraded"
}

// address is where the server speaks a protocol, "smtp" or "pop3", in a mode.
func (s *server) address(protocol string, m mode) (host, port string) {
	s.t.Helper()
	addr := map[string][]string{"smtp": s.smtp, "pop3": s.pop3}[protocol]
	if m == implicit {
		addr = map[string][]string{"smtp": s.smtps, "pop3": s.pop3s}[protocol]
	}
	host, port, err := net.SplitHostPort(addr[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return host, port
}
