package inspect

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/privilege"
)

var rewrite = flag.Bool("rewrite", false, "write what comes now into the golden files")

// now is the time of every test.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// machine is a directory with the files that the configurations of testdata name.
type machine struct {
	t    *testing.T
	dir  string
	port string // port of 127.0.0.1, where another program listens
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir()}
	if err := os.Chmod(filepath.Dir(m.dir), 0o755); err != nil { // the server's user has to come through
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, m.port, _ = net.SplitHostPort(l.Addr().String())
	year := 365 * 24 * time.Hour
	m.pair("good", now.Add(-year), now.Add(year), "mx.example.org")
	m.pair("other", now.Add(-year), now.Add(year), "www.example.net")
	m.pair("expired", now.Add(-2*year), now.Add(-time.Hour), "mx.example.org")
	m.pair("early", now.Add(48*time.Hour), now.Add(year), "mx.example.org")
	m.pair("soon", now.Add(-year), now.Add(72*time.Hour), "mx.example.org")
	m.write("secret.pem", 0o600, m.read("good.key"))
	m.write("open.key", 0o644, m.read("good.key"))
	m.write("encrypted.key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
	der, _ := pem.Decode(m.read("good.crt"))
	m.write("good.der", 0o644, der.Bytes)
	m.write("text.crt", 0o644, []byte("no certificate\n"))
	m.write("passwords", 0o600, []byte("[smtp.example.org]:587 me:secret\n"))
	m.write("passwords.open", 0o644, []byte("[smtp.example.org]:587 me:secret\n"))
	m.write("passwords.wrong", 0o600, []byte("# comment\n[smtp.example.org]:587\n"))
	for name, mode := range map[string]fs.FileMode{"data": 0o700, "data.open": 0o755, "data.full": 0o700} {
		if err := os.Mkdir(filepath.Join(m.dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	m.write("data.full/letter.doc", 0o600, nil)
	return m
}

func (m *machine) write(name string, mode fs.FileMode, text []byte) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, mode)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) []byte {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return text
}

// pair makes NAME.crt and NAME.key.
func (m *machine) pair(name string, from, to time.Time, host string) {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		m.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name+".crt", 0o644, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	m.write(name+".key", 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// find knows one user besides root, that owns no file.
func (m *machine) find(name string) (privilege.User, error) {
	switch name {
	case "root":
		return privilege.User{Name: name}, nil
	case "postrider":
		return privilege.User{Name: name, UID: 654321, GID: 654321}, nil
	}
	return privilege.User{}, fmt.Errorf("user: unknown user %s: make it, for example with what \"postrider install --print\" shows", name)
}

// said is what is found in a configuration.
func (m *machine) said(file string) string {
	var b strings.Builder
	cfg, err := config.Load(file)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	if cfg != nil {
		world := World{
			UID: cmp.Or(os.Geteuid(), 1000), Find: m.find, Memory: 4 << 30, Now: now,
			Holder: func(string) string { return "process 17 (master) has it" },
		}
		if strings.Contains(string(m.read(filepath.Base(file))), "# as root") {
			world.UID = 0
		}
		for _, f := range Local(cfg, world) {
			fmt.Fprintln(&b, f)
		}
	}
	text := strings.NewReplacer(m.dir, "@DIR@", ":"+m.port, ":@PORT@").Replace(b.String())
	return owner.ReplaceAllString(text, "user @UID@")
}

// owner is what differs with the user that runs the tests.
var owner = regexp.MustCompile(`\buser [0-9]+\b`)

// Each file of testdata is a configuration that is broken in some way, and the file with
// .golden after its name is what is said about it. @DIR@ is the directory of the machine,
// and @PORT@ a port that is taken.
func TestBrokenConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) < 23 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	others, err := filepath.Glob("testdata/*.cf")
	if err != nil || len(others) == 0 {
		t.Fatal("no configuration of another server", err)
	}
	m := newMachine(t)
	for _, file := range append(files, others...) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(file)
			m.write(name, 0o600, []byte(strings.NewReplacer("@DIR@", m.dir, "@PORT@", m.port).Replace(string(text))))
			got := m.said(filepath.Join(m.dir, name))
			golden := file + ".golden"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal([]byte(got), want) {
				t.Errorf("got\n%s\nwant\n%s(go test -rewrite writes what comes now)", got, want)
			}
			isGood := strings.HasPrefix(name, "good")
			if (got == "") != isGood {
				t.Errorf("%s: %q", name, got)
			}
			for line := range strings.Lines(got) {
				if !isAdvice(line) {
					t.Errorf("the line does not say what to do: %s", line)
				}
			}
		})
	}
}

// before is what a line begins with: place, kind and key.
var before = regexp.MustCompile(`^(@DIR@/\S+: )?(warning: )?([a-z0-9_.]+: )?`)

// isAdvice reports whether a line goes on after what is wrong: with what to do, or with what
// is allowed.
func isAdvice(line string) bool {
	said := line[len(before.FindString(line)):]
	return strings.Contains(said, ": ") || strings.Contains(said, "; ")
}

// Private and link-local networks are one's own however large they are.
func TestIsWide(t *testing.T) {
	for text, want := range map[string]bool{
		"0.0.0.0/0": true, "::/0": true, "64.0.0.0/2": true, "2000::/3": true, "f000::/4": true,
		"10.0.0.0/8": false, "192.0.2.0/24": false, "2001:db8::/32": false, "fc00::/7": false, "fd00::/8": false, "fe80::/10": false,
	} {
		if got := isWide(netip.MustParsePrefix(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A server that runs as root may listen on loopback, by whatever name, and nowhere else.
func TestAsRoot(t *testing.T) {
	f := func(addr string, want bool) {
		t.Helper()
		cfg := config.Default()
		cfg.SMTP.Listen, cfg.POP3.Listen = []config.SMTPListener{{Addr: addr}}, nil
		if got := AsRoot(cfg, 0) != nil; got != want {
			t.Errorf("%s: a fault: %v", addr, got)
		}
		if AsRoot(cfg, 1000) != nil {
			t.Errorf("%s: a fault for another user than root", addr)
		}
		if cfg.Server.User = "root"; AsRoot(cfg, 0) != nil {
			t.Errorf("%s: a fault although server.user allows it", addr)
		}
	}
	for _, addr := range []string{"localhost:2525", "LOCALHOST:25", "127.0.0.1:25", "127.9.9.9:0", "[::1]:25", "[::ffff:127.0.0.1]:25"} {
		f(addr, false)
	}
	for _, addr := range []string{":25", "0.0.0.0:25", "[::]:25", "192.0.2.1:25", "mx.example.org:25", "localhost.example.org:25", "[::ffff:192.0.2.1]:25", "25"} {
		f(addr, true)
	}
}
