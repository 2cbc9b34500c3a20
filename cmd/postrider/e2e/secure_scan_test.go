package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// door is one way to get TLS from a server.
type door struct {
	protocol string
	mode     mode
}

var doors = []door{{"smtp", upgraded}, {"smtp", implicit}, {"pop3", upgraded}, {"pop3", implicit}}

func (d door) String() string { return fmt.Sprint(d.protocol, " ", d.mode) }

// probe makes one connection with openssl s_client, sends QUIT within TLS and
// returns all that openssl has to say. Levels that the system's openssl.cnf forbids
// to clients are open, so that a refusal is the server's.
func probe(t *testing.T, s *server, d door, args ...string) (report string, ok bool) {
	t.Helper()
	return probeSaying(t, s, d, "QUIT\n", args...)
}

func probeSaying(t *testing.T, s *server, d door, says string, args ...string) (report string, ok bool) {
	t.Helper()
	host, port := s.address(d.protocol, d.mode)
	words := []string{"s_client", "-connect", host + ":" + port, "-crlf"}
	if d.mode == upgraded {
		words = append(words, "-starttls", d.protocol)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", append(words, args...)...)
	cmd.Stdin = strings.NewReader(says)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// everyCipher is what a client offers that would take anything.
const everyCipher = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"

// scanned is a server with certificates of both kinds for two names, ready to be
// scanned.
func scanned(t *testing.T, a *authority, extra string) *server {
	t.Helper()
	s := newServer(t, "reader")
	dir := t.TempDir()
	var files []string
	for _, c := range [][2]string{{"ecdsa", "mx.localhost"}, {"rsa", "mx.localhost"}, {"ecdsa", "other.localhost"}} {
		file := filepath.Join(dir, c[0]+"."+c[1])
		if err := os.WriteFile(file, a.issue(t, c[0], c[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, fmt.Sprintf("%q", file))
	}
	s.configure("[tls]\ncertificates = [" + strings.Join(files, ", ") + "]\n" + extra)
	s.args = append(s.args, "--smtps", "127.0.0.1:0", "--pop3s", "127.0.0.1:0")
	s.start()
	return s
}

// RFC 8996: TLS 1.0 and 1.1 are no more, unless asked for at port 25.
func TestVersionsOfTLS(t *testing.T) {
	need(t, "openssl")
	a := newAuthority(t)
	try := func(s *server, d door, version string, want bool) {
		t.Helper()
		report, ok := probe(t, s, d, "-ign_eof", "-"+version, "-cipher", everyCipher)
		if ok != want {
			t.Errorf("%s: %s spoken: %t, want %t\n%s", d, version, ok, want, report)
		}
		if !ok && !strings.Contains(report, "alert protocol version") {
			t.Errorf("%s: %s was not refused for its version:\n%s", d, version, report)
		}
	}
	s := scanned(t, a, "")
	for _, d := range doors {
		try(s, d, "tls1", false)
		try(s, d, "tls1_1", false)
		try(s, d, "tls1_2", true)
		try(s, d, "tls1_3", true)
	}
	s.terminate()
	old := scanned(t, a, "smtp_min_version = \"1.0\"\n")
	for _, d := range doors {
		port25 := d == door{"smtp", upgraded}
		try(old, d, "tls1", port25)
		try(old, d, "tls1_1", port25)
		try(old, d, "tls1_2", true)
	}
	old.terminate()
}

var chosenCipher = regexp.MustCompile(`(?m)^New, TLSv1\.\d, Cipher is (\S+)`)

// A client that offers everything, and then everything but what was chosen, until
// nothing is left, finds only ciphers with forward secrecy and authenticated
// encryption; both for an ECDSA and for an RSA key.
func TestCiphers(t *testing.T) {
	need(t, "openssl")
	s := scanned(t, newAuthority(t), "")
	good := regexp.MustCompile(`^ECDHE-(ECDSA|RSA)-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)$`)
	for _, d := range doors {
		var found []string
		for offer := everyCipher; len(found) < 50; {
			report, ok := probe(t, s, d, "-ign_eof", "-tls1_2", "-cipher", offer, "-servername", "mx.localhost")
			m := chosenCipher.FindStringSubmatch(report)
			if !ok || m == nil {
				if !strings.Contains(report, "alert handshake failure") {
					t.Errorf("%s: the scan ended otherwise than by a refusal:\n%s", d, report)
				}
				break
			}
			found = append(found, m[1])
			offer = strings.Replace(offer, ":@", ":!"+m[1]+":@", 1)
		}
		all := strings.Join(found, " ")
		t.Logf("%s takes %s", d, all)
		for _, cipher := range found {
			if !good.MatchString(cipher) {
				t.Errorf("%s takes %s", d, cipher)
			}
		}
		if !strings.Contains(all, "-ECDSA-") || !strings.Contains(all, "-RSA-") {
			t.Errorf("%s serves only one kind of key: %s", d, all)
		}
	}
	s.terminate()
}

// RFC 5746, CVE-2012-4929: the session is never negotiated again, nor compressed.
func TestNoRenegotiationNoCompression(t *testing.T) {
	need(t, "openssl")
	s := scanned(t, newAuthority(t), "")
	for _, d := range doors {
		report, ok := probeSaying(t, s, d, "R\nNOOP\nQUIT\n", "-tls1_2", "-comp")
		if !strings.Contains(report, "RENEGOTIATING") {
			t.Fatalf("%s: openssl did not try to renegotiate:\n%s", d, report)
		}
		if ok || !regexp.MustCompile("alert|no renegotiation|unexpected").MatchString(report[strings.Index(report, "RENEGOTIATING"):]) {
			t.Errorf("%s: a renegotiation was not refused:\n%s", d, report)
		}
		if !strings.Contains(report, "Secure Renegotiation IS supported") || !strings.Contains(report, "Compression: NONE") {
			t.Errorf("%s: RFC 5746 is not spoken, or there is compression:\n%s", d, report)
		}
	}
	s.terminate()
}

var subject = regexp.MustCompile(`(?m)^subject=CN = (\S+)`)

// RFC 6066 section 3: the certificate is that of the name that was asked for, by the
// kind of key that the client can do; another name gets the first.
func TestCertificateByName(t *testing.T) {
	need(t, "openssl")
	a := newAuthority(t)
	s := scanned(t, a, "")
	for _, c := range []struct{ asked, sigalgs, name, key string }{
		{"mx.localhost", "", "mx.localhost", "ECDSA"},
		{"mx.localhost", "rsa_pss_rsae_sha256", "mx.localhost", "RSA-PSS"},
		{"mx.localhost", "ecdsa_secp256r1_sha256", "mx.localhost", "ECDSA"},
		{"other.localhost", "", "other.localhost", "ECDSA"},
		{"MX.LocalHost", "", "mx.localhost", "ECDSA"},
		{"unknown.localhost", "", "mx.localhost", "ECDSA"},
		{"", "", "mx.localhost", "ECDSA"},
	} {
		for _, d := range doors {
			args := []string{"-ign_eof", "-tls1_3", "-CAfile", a.file, "-verify_return_error", "-noservername"}
			if c.asked != "" {
				args = append(args[:len(args)-1], "-servername", c.asked)
			}
			if c.sigalgs != "" {
				args = append(args, "-sigalgs", c.sigalgs)
			}
			report, ok := probe(t, s, d, args...)
			m := subject.FindStringSubmatch(report)
			if !ok || m == nil || m[1] != c.name || !strings.Contains(report, "Peer signature type: "+c.key+"\n") {
				t.Errorf("%s: asked for %q with %q, want %s with %s:\n%s", d, c.asked, c.sigalgs, c.name, c.key, report)
			}
		}
	}
	s.terminate()
}

// golang/go#70232: at port 25 there are no tickets; elsewhere they resume a session.
func TestTicketsButAtPort25(t *testing.T) {
	need(t, "openssl")
	s := scanned(t, newAuthority(t), "")
	for _, d := range doors {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			file := filepath.Join(t.TempDir(), "session")
			report, ok := probe(t, s, d, "-ign_eof", version, "-sess_out", file)
			if !ok {
				t.Fatalf("%s %s:\n%s", d, version, report)
			}
			port25 := d == door{"smtp", upgraded}
			if got := strings.Contains(report, "TLS session ticket:"); got == port25 {
				t.Errorf("%s %s: a ticket: %t\n%s", d, version, got, report)
			}
			if port25 {
				continue // in 1.3 nothing was stored that could be offered
			}
			report, _ = probe(t, s, d, "-ign_eof", version, "-sess_in", file)
			if !strings.Contains(report, "\nReused, ") {
				t.Errorf("%s %s: the session was not resumed\n%s", d, version, report)
			}
		}
	}
	s.terminate()
}
