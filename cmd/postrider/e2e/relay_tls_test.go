package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate for 127.0.0.1 after its key
// into a file.
func certificate(t *testing.T) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "postfix.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	octets, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: secret}, {Type: "CERTIFICATE", Bytes: octets}} {
		if err := pem.Encode(&text, block); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A real Postfix takes mail over TLS: from any client that offers it; with a certificate
// that is checked, and found wrong if no authority we know has signed it; and in TLS 1.2.
func TestRelayToPostfixOverTLS(t *testing.T) {
	t.Parallel()
	heavy(t)
	cert := certificate(t)
	f := func(name, relay, received string, lines ...string) {
		t.Run(name, func(t *testing.T) {
			ours := freePort(t)
			lines = append(lines, "smtpd_tls_chain_files = "+cert, "smtpd_tls_loglevel = 1", "smtpd_tls_received_header = yes",
				"smtpd_tls_security_level = may")
			p := startPostfix(t, ours, lines...)
			s := newServer(t, "writer")
			s.configure(fmt.Sprintf("[relay]\nretry = [\"1s\"]\ntransports = [\"postfix.test=[127.0.0.1]:%s\"]\n%s\n", portOf(t, p.addr), relay))
			s.args = append(s.args, "--smtp", fmt.Sprintf("127.0.0.1:%d", ours))
			s.start()
			s.submit(submission{from: "writer@localhost", to: []string{"reader@postfix.test"}})
			if received == "" {
				eventually(t, "the message is deferred", func() bool {
					return strings.Contains(s.log.String(), "status=deferred (host 127.0.0.1[127.0.0.1]: Server certificate not trusted: relay.tls_default demands it: ")
				})
				if n := len(p.maildrop("reader")); n != 0 {
					t.Errorf("%d messages arrived all the same", n)
				}
				return
			}
			eventually(t, "the message is there", func() bool { return len(p.maildrop("reader")) == 1 })
			// Postfix folds the field.
			if m := string(p.maildrop("reader")[0]); !strings.Contains(m, received) || !strings.Contains(m, "with ESMTPS") {
				t.Errorf("%.800s", m)
			}
			word := "Untrusted"
			if strings.Contains(relay, "verify") {
				word = "Verified"
			}
			if want := word + " TLS connection established to 127.0.0.1[127.0.0.1]:" + portOf(t, p.addr) + ": TLSv1."; !strings.Contains(s.log.String(), want) {
				t.Errorf("no %q in\n%s", want, s.log)
			}
			s.emptied()
			s.terminate()
		})
	}
	f("may", "", "(using TLSv1.3 with cipher TLS_")
	f("verify", fmt.Sprintf("tls_default = \"verify\"\ntls_roots = %q", cert), "(using TLSv1.3 with cipher TLS_")
	f("unknown authority", "tls_default = \"verify\"", "")
	f("TLS 1.2", "", "(using TLSv1.2 with cipher ECDHE-ECDSA-", "smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.3")
}
