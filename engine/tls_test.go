package engine

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
)

// withTLS adds implicit TLS to the fixture.
func withTLS(cfg *config.Config) {
	cfg.SMTP.ListenTLS = []config.SMTPListener{{Addr: "127.0.0.1:0"}}
	cfg.POP3.ListenTLS = []string{"127.0.0.1:0"}
}

// version makes a client that speaks this version of TLS only and checks nothing.
func version(v uint16) *tls.Config {
	return &tls.Config{MinVersion: v, MaxVersion: v, InsecureSkipVerify: true} //nolint:gosec // a test
}

var modern = version(tls.VersionTLS13)

// dialTLS connects and agrees on TLS. write, if not nil, is how octets go out.
func dialTLS(t testing.TB, at netip.AddrPort, cfg *tls.Config) *peer {
	t.Helper()
	p := dial(t, at.String())
	return p.secure(cfg)
}

// secure goes on within TLS.
func (p *peer) secure(cfg *tls.Config) *peer {
	p.t.Helper()
	c := tls.Client(p.link, cfg)
	if err := c.Handshake(); err != nil {
		p.t.Fatalf("TLS handshake: %v", err)
	}
	return &peer{p.t, secured{c, p.link}, bufio.NewReader(c)}
}

// secured is a link within TLS. CloseWrite sends close_notify and no FIN.
type secured struct {
	*tls.Conn
	under link
}

func (s secured) SetLinger(seconds int) error { return s.under.SetLinger(seconds) }

func (f *fixture) dialSMTPS(t testing.TB, cfg *tls.Config) *peer {
	t.Helper()
	return dialTLS(t, f.SMTPSAddrs()[0], cfg)
}

func (f *fixture) dialPOP3S(t testing.TB, cfg *tls.Config) *peer {
	t.Helper()
	return dialTLS(t, f.POP3SAddrs()[0], cfg)
}

// submit sends a message in an open session.
func (p *peer) submit(text string) {
	p.t.Helper()
	p.say("MAIL FROM:<a@client.test>", "250 2.1.0")
	p.say("RCPT TO:<mbrain@localhost>", "250 2.1.5")
	p.say("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 2.0.0 ")
}

func (p *peer) loginAs(user string) {
	p.t.Helper()
	p.expect("+OK")
	p.say("USER "+user, "+OK")
	p.say("PASS secret", "+OK")
}

func TestDialogueWithinTLS(t *testing.T) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			f := start(t, withTLS, nil)
			p := f.dialSMTPS(t, version(v))
			p.expect("220 ")
			p.say("EHLO client.test", "250 ")
			p.submit("Subject: lunch\r\n\r\n..two dots\r\n")
			p.say("QUIT", "221 ")
			p.end()

			q := f.dialPOP3S(t, version(v))
			q.loginAs("mbrain")
			q.say("RETR 1", "+OK")
			if got := q.listing(); !strings.Contains(got, " with ESMTPS id ") || !strings.HasSuffix(got, "\r\n\r\n.two dots\r\n") {
				t.Errorf("got\n%s", got)
			}
			q.say("DELE 1", "+OK")
			q.say("QUIT", "+OK")
			q.end()
			if n := f.stats.tlsHandshakes.Load(); n != 2 {
				t.Errorf("%d handshakes", n)
			}
		})
	}
}

var _ = fmt.Sprint
var _ = io.EOF
var _ net.Conn
var _ = time.Now
