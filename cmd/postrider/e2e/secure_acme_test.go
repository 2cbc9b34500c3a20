package e2e

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"postrider/engine/edge/certs/acme/acmetest"
)

// tls.acme_domains: TLS works at once, and soon with a certificate of the authority,
// for which nothing else is restarted; after a restart it is there without asking.
func TestCertificatesByACME(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(free.Addr().(*net.TCPAddr).Port))
	free.Close()
	authority := acmetest.Start(t, func(string) string { return at })
	authority.Refuse(true)
	s := newServer(t, "reader")
	s.configure("[tls]\nacme_domains = [\"mx.localhost\"]\nacme_listen = [\"" + at + "\"]\nacme_accept_terms = true\nacme_directory = \"" + authority.URL + "\"\n")
	s.args = append(s.args, "--smtps", "127.0.0.1:0")
	s.start()
	served := func() (trusted bool) {
		t.Helper()
		host, port := s.address("smtp", implicit)
		c, err := tls.Dial("tcp", net.JoinHostPort(host, port), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].Issuer.CommonName == "acmetest"
	}
	if served() {
		t.Error("a certificate of an authority that refuses")
	}
	eventually(t, "the failure is in the log", func() bool {
		return strings.Contains(s.log.String(), "ACME failed, retrying in 1h0m0s or at SIGHUP: certificate for mx.localhost: ")
	})
	s.terminate()
	authority.Refuse(false)
	s.start()
	eventually(t, "the authority's certificate serves", served)
	if info, err := os.Stat(filepath.Join(s.data, "acme")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	s.terminate()
	asked := authority.Asked()
	s.start()
	eventually(t, "it is there after a restart", served)
	if n := authority.Issued("mx.localhost"); n != 1 || authority.Asked() != asked {
		t.Errorf("%d certificates were issued, and %d questions asked after the restart", n, authority.Asked()-asked)
	}
	s.terminate()
}
