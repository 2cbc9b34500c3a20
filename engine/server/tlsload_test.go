package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/engine/edge/certs"
)

// numbered is a text of about n octets in which each line is different.
func numbered(n int) string {
	var b strings.Builder
	b.WriteString("Subject: numbered\r\n\r\n")
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%09d this line is the only one of its kind, and none may change places with it\r\n", i)
	}
	return b.String()
}

func TestLargeMessageWithinTLS(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.Limits.Memory = 8 << 20
	}, nil)
	text := numbered(20 << 20)
	p := f.dialSMTPS(t, modern)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.submit(text)
	q := f.dialPOP3S(t, version(tls.VersionTLS12))
	q.loginAs("mbrain")
	q.say("RETR 1", "+OK")
	if got := q.listing(); !strings.HasSuffix(got, text) {
		t.Errorf("%d octets came, the text has %d", len(got), len(text))
	}
	q.say("QUIT", "+OK")
	until(t, "nothing is booked", func() bool { return f.budget.Used() == 0 })
}

// serial is the serial number of the certificate that a client is shown.
func serial(t testing.TB, p *peer) string {
	t.Helper()
	return p.link.(secured).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestReloadUnderLoadDropsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mx.pem")
	renew := func() string {
		_ = os.Remove(file)
		if _, err := certs.SelfSigned(file, []string{"mx.test"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.String()
	}
	first := renew()
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.TLS.Certificates = []config.CertFile{{Cert: file, Key: file}}
	}, nil)
	long := f.dialSMTPS(t, modern)
	long.expect("220 ")
	long.say("EHLO client.test", "250 ")
	if got := serial(t, long); got != first {
		t.Errorf("the certificate is %s, want %s", got, first)
	}

	var stop atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				p := f.dialSMTPS(t, modern)
				p.expect("220 ")
				p.say("NOOP", "250 ")
				p.say("QUIT", "221 ")
				p.Close()
			}
		})
	}
	var last string
	for range 10 {
		last = renew()
		f.ReloadCertificates()
		until(t, "the new certificate is shown", func() bool {
			p := f.dialSMTPS(t, modern)
			defer p.Close()
			return serial(t, p) == last
		})
		long.say("NOOP", "250 ")
	}
	if err := os.WriteFile(file, []byte("half a renewal"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := f.listenIn()
	f.ReloadCertificates()
	until(t, "the log has the fault", func() bool { return strings.Contains(log.text(), "new TLS certificates can't be used") })
	if p := f.dialSMTPS(t, modern); serial(t, p) != last {
		t.Error("what can't be loaded has replaced what serves")
	}
	stop.Store(true)
	clients.Wait()
	long.submit("x\r\n")
	if n := f.edge.Stats.TLSFailed.Load(); n != 0 {
		t.Errorf("%d handshakes failed", n)
	}
}

// Sessions of one loop share its buffers; what one hears is never another's.
func TestSessionsOfOneLoopDoNotMix(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.Server.Loops = 1
	}, nil)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			p := f.dialSMTPS(t, version(tls.VersionTLS12+uint16(i%2)))
			p.expect("220 ")
			p.say("HELO c.test", "250 ")
			for round := range 60 {
				sender := fmt.Sprintf("c%d.r%d@%s.test", i, round, strings.Repeat(string(rune('a'+i)), 1+round))
				if got := p.say("MAIL FROM:<"+sender+">", "250 "); !strings.Contains(got, " "+sender+"...") {
					t.Errorf("MAIL FROM:<%s> got %s", sender, got)
				}
				p.say("RSET", "250 ")
			}
			p.say("QUIT", "221 ")
		})
	}
	clients.Wait()
}

func TestSessionsAreResumedAfterARestart(t *testing.T) {
	data := t.TempDir()
	begin := func() *fixture {
		return start(t, func(cfg *config.Config) {
			withTLS(cfg)
			cfg.Server.Data = data
		}, nil)
	}
	cache := tls.NewLRUClientSessionCache(8)
	resumed := func(f *fixture, v uint16) bool {
		cfg := version(v)
		cfg.ClientSessionCache, cfg.ServerName = cache, fmt.Sprint("mx", v, ".test")
		p := f.dialSMTPS(t, cfg)
		p.expect("220 ")
		p.say("QUIT", "221 ")
		p.end()
		return p.link.(secured).ConnectionState().DidResume
	}
	f := begin()
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if resumed(f, v) {
			t.Error("the first session was resumed")
		}
		if !resumed(f, v) {
			t.Error("the second session was not resumed")
		}
	}
	g := begin() // the certificate of the data directory, and its keys
	if !resumed(g, tls.VersionTLS12) || !resumed(g, tls.VersionTLS13) {
		t.Error("a session was not resumed by another process")
	}
	for _, name := range []string{certs.SelfSignedFile, certs.TicketFile} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
	// At port 25 there are no tickets.
	cfg := version(tls.VersionTLS13)
	cfg.ClientSessionCache, cfg.ServerName = cache, "plain.test"
	for range 2 {
		p := g.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO c", "250 ")
		p.say("STARTTLS", "220 ")
		p = p.secure(cfg)
		p.say("EHLO c", "250 ")
		if p.link.(secured).ConnectionState().DidResume {
			t.Error("a session of STARTTLS at port 25 was resumed")
		}
		p.say("QUIT", "221 ")
	}
}

func TestOldVersionsAreRefusedUnlessAskedFor(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.TLS.SMTPMinVersion = config.TLS10
	}, nil)
	p := dial(t, f.SMTPSAddrs()[0].String())
	if err := tls.Client(p.link, version(tls.VersionTLS11)).Handshake(); err == nil {
		t.Error("TLS 1.1 was spoken at smtp.listen_tls")
	}
	q := f.dialSMTP(t)
	q.expect("220 ")
	q.say("EHLO c", "250 ")
	q.say("STARTTLS", "220 ")
	q = q.secure(version(tls.VersionTLS10))
	q.say("EHLO c", "250 ")
	q.say("QUIT", "221 ")
	until(t, "the failure is counted", func() bool { return f.edge.Stats.TLSFailed.Load() == 1 })
	if f.edge.Stats.TLSHandshakes.Load() != 1 {
		t.Errorf("%d handshakes", f.edge.Stats.TLSHandshakes.Load())
	}
}

// A server that stops does not wait for handshakes, and says 421 within TLS.
func TestDrainWithinTLS(t *testing.T) {
	t.Parallel()
	f := start(t, withTLS, nil)
	half := dial(t, f.SMTPSAddrs()[0].String())
	half.send(clientHello(t))
	until(t, "it is under way", func() bool { return f.edge.TLS.Handshaker.Open() == 1 })
	p := f.dialSMTPS(t, modern)
	p.expect("220 ")
	go f.Drain(t.Context())
	p.expect("421 ")
	p.end()
	if _, err := io.Copy(io.Discard, half.r); err != nil {
		t.Log(err) // a reset is as good an end
	}
	until(t, "all are gone", func() bool { return f.group.Conns() == 0 && f.edge.TLS.Handshaker.Open() == 0 })
}
