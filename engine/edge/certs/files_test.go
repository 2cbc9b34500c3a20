package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postrider/engine/edge/certs/acme"
	"postrider/engine/edge/tlsio"
	"postrider/engine/host/perms"
)

// shown returns the certificate that clients get.
func shown(t testing.TB, s *tlsio.CertStore) *x509.Certificate {
	t.Helper()
	c, err := s.Pick(new(tls.ClientHelloInfo))
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

// certificate makes a certificate for mx.test and its key, in two files.
func certificate(t testing.TB, dir string) tlsio.CertFile {
	t.Helper()
	whole := filepath.Join(dir, "whole")
	if _, err := SelfSigned(whole, []string{"mx.test"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, _ := strings.Cut(string(text), "-----BEGIN PRIVATE")
	f := tlsio.CertFile{Cert: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}
	for file, b := range map[string]string{f.Cert: cert, f.Key: "-----BEGIN PRIVATE" + key} {
		if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestWatch(t *testing.T) {
	later := time.Now().Add(time.Hour)
	file := certificate(t, t.TempDir())
	s := new(tlsio.CertStore)
	if err := s.Load([]tlsio.CertFile{file}); err != nil {
		t.Fatal(err)
	}
	w := NewWatch(func() error { return s.Load([]tlsio.CertFile{file}) }, file.Cert, file.Key)
	first := shown(t, s)
	if loaded, err := w.Reload(false); loaded || err != nil {
		t.Errorf("nothing has changed: %v, %v", loaded, err)
	}
	if loaded, err := w.Reload(true); !loaded || err != nil {
		t.Errorf("by force: %v, %v", loaded, err)
	}
	next := certificate(t, t.TempDir())
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
	if !shown(t, s).Equal(first) {
		t.Error("half a renewal serves")
	}
	move(next.Key, file.Key, later)
	if loaded, err := w.Reload(false); !loaded || err != nil {
		t.Errorf("the renewal: %v, %v", loaded, err)
	}
	if shown(t, s).Equal(first) {
		t.Error("the old certificate serves on")
	}
}

// A self-signed certificate has A-labels, and leaves out names without A-labels.
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
	f([]string{"Café.example", "mx.gru\u0308n.example", "xn--caf-dma.example"}, "xn--caf-dma.example", "mx.xn--grn-ioa.example", "localhost")
	f([]string{"\uff20é.example", "b.example"}, "b.example", "localhost")
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
	s := new(tlsio.CertStore)
	if err := s.Load([]tlsio.CertFile{{Cert: file, Key: file}}); err != nil {
		t.Fatal(err)
	}
	leaf := shown(t, s)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"mx.test", "example.org", "localhost", "127.0.0.1", "::1"} {
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
		if _, err := OpenTicketKeys(file); !errors.Is(err, perms.ErrDamaged) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", damage, err)
		}
	}
}

// Other files take the place of the self-signed certificate and are watched; files that
// can't be used are found before.
func TestManager_Configure(t *testing.T) {
	m, err := New(Settings{Data: t.TempDir(), ReloadEvery: time.Hour, Names: []string{"self.test"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	own := shown(t, &m.store)
	file := certificate(t, t.TempDir())
	with := func(change func(*Settings)) Settings {
		set := m.Settings()
		change(&set)
		return set
	}
	if err := m.Check(with(func(s *Settings) { s.Files = []tlsio.CertFile{{Cert: file.Cert, Key: file.Cert}} })); err == nil || !strings.Contains(err.Error(), "tls.certificates") {
		t.Errorf("a certificate for its key: %v", err)
	}
	signed := with(func(s *Settings) { s.Files = []tlsio.CertFile{file} })
	if err := m.Check(signed); err != nil {
		t.Error(err)
	}
	if shown(t, &m.store) != own {
		t.Error("a check has replaced the certificate")
	}
	m.Configure(signed)
	first := shown(t, &m.store)
	if first.DNSNames[0] != "mx.test" {
		t.Errorf("%v after the change", first.DNSNames)
	}
	renewed := certificate(t, t.TempDir())
	if err := errors.Join(os.Rename(renewed.Cert, file.Cert), os.Rename(renewed.Key, file.Key)); err != nil {
		t.Fatal(err)
	}
	if m.reload(true); shown(t, &m.store).Equal(first) {
		t.Error("the new file is not read again")
	}
	if m.Configure(with(func(s *Settings) { s.Files = nil })); !shown(t, &m.store).Equal(own) {
		t.Error("the self-signed certificate is not in its place again")
	}
}

// Versions of TLS, the names of the self-signed certificate, and whether clients are asked
// for a certificate can change. The self-signed certificate is kept, because clients may have
// pinned it; the log tells of names that it lacks, and once its file is removed a new one is
// made with them.
func TestManager_ConfigureOtherSettings(t *testing.T) {
	var log strings.Builder
	m, err := New(Settings{Data: t.TempDir(), ReloadEvery: time.Hour, Names: []string{"old.test"}, MinVersion: tls.VersionTLS12, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if m.Clients() != nil || m.Configs().POP3S.MinVersion != tls.VersionTLS12 {
		t.Errorf("%v, %v", m.Clients(), m.Configs().POP3S.MinVersion)
	}
	own, set := shown(t, &m.store), m.Settings()
	set.Names, set.MinVersion, set.Clients, set.ClientRoots = []string{"new.test", "old.test"}, tls.VersionTLS13, Demanded, set.file(SelfSignedFile)
	if err := m.Check(set); err != nil {
		t.Fatal(err)
	}
	before := m.Configs()
	m.Configure(set)
	if c := m.Configs(); c.POP3S.MinVersion != tls.VersionTLS13 || c.SMTPS.ClientAuth != tls.RequireAnyClientCert || c.SMTP.ClientAuth != tls.RequestClientCert || m.Clients() == nil {
		t.Errorf("the configurations have version %x and ask for %v, %v", c.POP3S.MinVersion, c.SMTPS.ClientAuth, c.SMTP.ClientAuth)
	}
	if before.POP3S.MinVersion != tls.VersionTLS12 {
		t.Error("a configuration that is in use has changed")
	}
	if !shown(t, &m.store).Equal(own) || !strings.Contains(log.String(), "not for new.test") {
		t.Errorf("the certificate was replaced, or nothing is told:\n%s", log.String())
	}
	if err := os.Remove(set.file(SelfSignedFile)); err != nil {
		t.Fatal(err)
	}
	if m.reload(true); shown(t, &m.store).VerifyHostname("new.test") != nil {
		t.Errorf("the new certificate is for %v", shown(t, &m.store).DNSNames)
	}
	set.Clients, set.ClientRoots = NotAsked, ""
	if m.Configure(set); m.Clients() != nil || m.Configs().SMTPS.ClientAuth != tls.NoClientCert {
		t.Error("clients are asked for certificates still")
	}
	for _, wrong := range []func(*Settings){
		func(s *Settings) { s.Files = []tlsio.CertFile{{Cert: "/nowhere", Key: "/nowhere"}} },
		func(s *Settings) { s.Clients, s.ClientRoots = Asked, "/nowhere" },
	} {
		bad := m.Settings()
		wrong(&bad)
		if m.Check(bad) == nil {
			t.Error("the check finds nothing wrong with /nowhere")
		}
		now := m.Settings()
		if m.Configure(bad); m.Settings().ClientRoots != now.ClientRoots || len(m.Settings().Files) != 0 || m.Clients() != nil {
			t.Errorf("after an error: %+v", m.Settings())
		}
	}
}

// Another authority or other domains make another order; what was ordered for the settings
// before is not used.
func TestManager_ConfigureACME(t *testing.T) {
	m, err := New(Settings{Data: t.TempDir(), ReloadEvery: time.Hour, Names: []string{"self.test"}, Log: slog.New(slog.DiscardHandler), ACME: acme.Options{Domains: []string{"a.test"}, Directory: "http://127.0.0.1:1/"}})
	if err != nil {
		t.Fatal(err)
	}
	first, set := m.acme, m.Settings()
	set.MinVersion = tls.VersionTLS13
	if m.Configure(set); m.acme != first {
		t.Error("a change of something else makes another order")
	}
	set.ACME.Domains = []string{"b.test"}
	if m.Configure(set); m.acme == first || m.acme == nil {
		t.Error("other domains make no other order")
	}
	file := certificate(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(file.Cert, file.Key)
	if err != nil {
		t.Fatal(err)
	}
	m.use(obtained{by: first, certs: []*tls.Certificate{&pair}})
	if shown(t, &m.store).DNSNames[0] != "self.test" {
		t.Error("a certificate for the domains before is in use")
	}
	m.use(obtained{by: m.acme, certs: []*tls.Certificate{&pair}})
	if shown(t, &m.store).DNSNames[0] != "mx.test" {
		t.Error("the certificate that was obtained is not in use")
	}
	set.ACME.Domains = nil
	if m.Configure(set); m.acme != nil || shown(t, &m.store).DNSNames[0] != "self.test" {
		t.Error("without domains a certificate by ACME is in use")
	}
}
