package tlsio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/guard"
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

func TestWatch(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	file := certificate(t, dir, "mx", false, later, "mx.test")
	s := new(CertStore)
	if err := s.Load([]CertFile{file}); err != nil {
		t.Fatal(err)
	}
	w := NewWatch(func() error { return s.Load([]CertFile{file}) }, file.Cert, file.Key)
	first := shown(t, s, client(tls.VersionTLS13))
	if loaded, err := w.Reload(false); loaded || err != nil {
		t.Errorf("nothing has changed: %v, %v", loaded, err)
	}
	if loaded, err := w.Reload(true); !loaded || err != nil {
		t.Errorf("by force: %v, %v", loaded, err)
	}
	next := certificate(t, t.TempDir(), "mx", false, later, "mx.test")
	move := func(from, to string, at time.Time) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err == nil {
			err = os.Chtimes(to, at, at)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	move(next.Cert, file.Cert, later) // the key comes a moment later
	if loaded, err := w.Reload(false); loaded || err == nil {
		t.Errorf("half a renewal: %v, %v", loaded, err)
	}
	if !shown(t, s, client(tls.VersionTLS13)).Equal(first) {
		t.Error("half a renewal serves")
	}
	move(next.Key, file.Key, later)
	if loaded, err := w.Reload(false); !loaded || err != nil {
		t.Errorf("the renewal: %v, %v", loaded, err)
	}
	if shown(t, s, client(tls.VersionTLS13)).Equal(first) {
		t.Error("the old certificate serves on")
	}
}

// Certificates have A-labels; a name that has none is left out.
func TestSelfSignedForInternationalDomains(t *testing.T) {
	f := func(names []string, want ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "self.pem")
		if _, err := SelfSigned(file, names, time.Now()); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(pair.Leaf.DNSNames, want) {
			t.Errorf("%q: %q", names, pair.Leaf.DNSNames)
		}
	}
	f([]string{"Café.example", "mx.gru\u0308n.example", "xn--caf-dma.example"}, "xn--caf-dma.example", "mx.xn--grn-ioa.example")
	f([]string{"\uff20é.example", "b.example"}, "b.example")
	f([]string{strings.Repeat("é", 62) + ".example"}, "localhost")
}

func TestSelfSigned(t *testing.T) {
	file := filepath.Join(t.TempDir(), "self.pem")
	for range 2 { // made once
		if _, err := SelfSigned(file, []string{"mx.test", "example.org"}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := os.ReadFile(file)
	if _, err := SelfSigned(file, []string{"other.test"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(file); string(again) != string(first) {
		t.Error("what was there was replaced")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s := new(CertStore)
	if err := s.Load([]CertFile{{file, file}}); err != nil {
		t.Fatal(err)
	}
	leaf := shown(t, s, client(tls.VersionTLS13))
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"mx.test", "example.org"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Error(err)
		}
	}
}

func TestTicketKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tickets")
	day := func(n int) time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(n) * ticketLife) }
	keys, err := OpenTicketKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(at time.Time) ticketKey {
		t.Helper()
		if err := keys.Rotate(at, new(tls.Config)); err != nil {
			t.Fatal(err)
		}
		return keys.keys[0]
	}
	first := rotate(day(0))
	if rotate(day(1).Add(-time.Second)) != first {
		t.Error("a new key within a day")
	}
	second := rotate(day(1))
	if second.key == first.key || keys.keys[1] != first {
		t.Error("no new key after a day, or the old one is gone")
	}
	for n := 2; n < 20; n++ {
		rotate(day(n))
	}
	if len(keys.keys) != ticketKeys {
		t.Errorf("%d keys are kept", len(keys.keys))
	}
	again, err := OpenTicketKeys(file)
	if err != nil || len(again.keys) != ticketKeys {
		t.Fatalf("%v, %v", again, err)
	}
	for i := range again.keys {
		if again.keys[i].key != keys.keys[i].key || !again.keys[i].made.Equal(keys.keys[i].made) {
			t.Errorf("key %d has changed in the file", i)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := keys.Rotate(day(0)); err != nil { // the clock was set back by weeks
		t.Fatal(err)
	}
	if !keys.keys[0].made.Equal(day(0)) {
		t.Error("a key from the future makes tickets for ever")
	}
	for _, damage := range []string{"today 00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z 00", "2026-01-01T00:00:00Z " + strings.Repeat("0", 66)} {
		if err := os.WriteFile(file, []byte(damage+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTicketKeys(file); !errors.Is(err, guard.ErrDamaged) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", damage, err)
		}
	}
}
