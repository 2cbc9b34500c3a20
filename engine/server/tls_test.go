package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
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

// dialTLS connects and agrees on TLS.
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
			if n := f.edge.Stats.TLSHandshakes.Load(); n != 2 {
				t.Errorf("%d handshakes", n)
			}
		})
	}
}

func TestSTARTTLS(t *testing.T) {
	f := start(t, nil, nil)
	clear := f.dialSMTP(t)
	clear.expect("220 ")
	clear.send("EHLO early.test\r\n")
	if caps := clear.lines(); !strings.Contains(caps, "STARTTLS") {
		t.Errorf("EHLO lists %q", caps)
	}
	clear.say("MAIL FROM:<early@client.test>", "250 2.1.0")
	clear.say("RSET", "250 ")
	clear.say("STARTTLS", "220 2.0.0")
	p := clear.secure(modern)
	p.say("MAIL FROM:<a@client.test>", "503 ") // the name is forgotten
	p.send("EHLO client.test\r\n")
	if caps := p.lines(); strings.Contains(caps, "STARTTLS") || !strings.Contains(caps, "SCRAM-SHA-256-PLUS") {
		t.Errorf("within TLS EHLO lists %q", caps)
	}
	p.say("STARTTLS", "503 ")
	p.submit("Subject: lunch\r\n\r\nx\r\n")
	p.say("QUIT", "221 ")
	p.end()
	q := f.login(t, "mbrain")
	q.say("RETR 1", "+OK")
	if got := q.listing(); !strings.Contains(got, "from client.test (") || !strings.Contains(got, " with ESMTPS id ") {
		t.Errorf("got\n%s", got)
	}
}

// lines reads all lines of an SMTP reply.
func (p *peer) lines() string {
	p.t.Helper()
	var b strings.Builder
	for {
		l := p.line()
		b.WriteString(l + "\n")
		if len(l) < 4 || l[3] != '-' {
			return b.String()
		}
	}
}

// What an attacker on the way puts after STARTTLS is never run, see CVE-2011-0411.
func TestOctetsBehindSTARTTLS(t *testing.T) {
	const injected = "MAIL FROM:<evil@client.test>\r\nRCPT TO:<mbrain@localhost>\r\n"
	f := start(t, nil, nil)
	begin := func() *peer {
		p := f.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		return p
	}
	for name, behind := range map[string]string{"commands": injected, "an early hello": "\x16\x03\x01\x00\x05hello", "an octet": "N"} {
		p := begin()
		p.send("STARTTLS\r\n" + behind)
		if l := p.line(); !strings.HasPrefix(l, "554 5.5.0") {
			t.Errorf("%s: %q", name, l)
		}
		p.end()
	}
	p := begin()
	p.say("STARTTLS", "220 ")
	p.send(injected) // in a segment of its own
	answer, _ := io.ReadAll(p.r)
	if bytes.Contains(answer, []byte("250")) {
		t.Errorf("a command in clear text was run: %q", answer)
	}
	if n := f.edge.Stats.TLSFailed.Load(); n != 1 {
		t.Errorf("%d failed handshakes, want 1", n)
	}
}

// drip is a link that sends octet by octet.
type drip struct{ link }

func (d drip) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.link.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestOctetByOctetWithinTLS(t *testing.T) {
	f := start(t, withTLS, nil)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := dial(t, f.SMTPSAddrs()[0].String())
		p.link = drip{p.link}
		p = p.secure(version(v))
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.submit("Subject: drip\r\n\r\nx\r\n")
		p.say("QUIT", "221 ")
		p.end()
	}
	q := f.dialPOP3S(t, modern)
	q.loginAs("mbrain")
	q.say("STAT", "+OK 2 ")
}

// hangUp is a link that closes after so many octets of the client.
type hangUp struct {
	link
	left int
}

func (h *hangUp) Write(b []byte) (int, error) {
	n := min(h.left, len(b))
	h.left -= n
	_, err := h.link.Write(b[:n])
	if h.left == 0 {
		_ = h.link.Close()
		err = net.ErrClosed
	}
	return n, err
}

func TestClientsThatHangUpInTheHandshake(t *testing.T) {
	f := start(t, withTLS, nil)
	before := runtime.NumGoroutine()
	step := 1
	if testing.Short() {
		step = 7
	}
	var wg sync.WaitGroup
	for left := 1; left < 1800; left += step { // a hello and the Finished are less
		wg.Go(func() {
			c, err := net.Dial("tcp", f.SMTPSAddrs()[left%len(f.SMTPSAddrs())].String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if left%3 == 0 {
				_ = c.(*net.TCPConn).SetLinger(0)
			}
			client := tls.Client(&hangUp{c.(*net.TCPConn), left}, version(tls.VersionTLS12+uint16(left%2)))
			_ = client.Handshake()
		})
		if left%64 == 0 {
			wg.Wait()
		}
	}
	wg.Wait()
	until(t, "handshakes, sessions and goroutines are gone", func() bool {
		return f.edge.TLS.Handshaker.Open() == 0 && f.group.Conns() == 0 && runtime.NumGoroutine() <= before
	})
	p := f.dialSMTPS(t, modern)
	p.expect("220 ")
}

func TestStalledHandshakesAreCapped(t *testing.T) {
	const limit = 20
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.TLS.MaxHandshakes = limit
	}, nil)
	live := f.dialSMTPS(t, modern)
	live.expect("220 ")
	clear := f.dialSMTP(t)
	clear.expect("220 ")
	clear.say("EHLO client.test", "250 ")

	hello := clientHello(t)
	var stalled []*peer
	for range limit {
		p := dial(t, f.SMTPSAddrs()[0].String())
		p.send(hello)
		stalled = append(stalled, p)
	}
	until(t, "all places are taken", f.edge.TLS.Handshaker.Busy)
	for range 3 * limit {
		p := dial(t, f.SMTPSAddrs()[0].String())
		p.send(hello)
		p.end()
	}
	clear.say("STARTTLS", "454 4.7.0")
	clear.say("MAIL FROM:<a@client.test>", "250 ") // goes on in clear text
	live.say("NOOP", "250 ")
	if n := f.edge.TLS.Handshaker.Open(); n != limit {
		t.Errorf("%d handshakes are open, want %d", n, limit)
	}
	for _, p := range stalled {
		p.Close()
	}
	until(t, "the places are free", func() bool { return f.edge.TLS.Handshaker.Open() == 0 })
	f.dialSMTPS(t, modern).expect("220 ")
}

// clientHello is the first flight of a client.
func clientHello(t testing.TB) string {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	go func() { _ = tls.Client(here, modern).Handshake() }()
	b := make([]byte, 16<<10)
	n, err := io.ReadAtLeast(there, b, 5)
	if err != nil {
		t.Fatal(err)
	}
	want := 5 + int(b[3])<<8 + int(b[4])
	if _, err := io.ReadFull(there, b[n:max(n, want)]); err != nil {
		t.Fatal(err)
	}
	return string(b[:want])
}

func TestHandshakeHasItsTime(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.TLS.HandshakeTimeout = time.Second
	}, nil)
	silent := dial(t, f.POP3SAddrs()[0].String())
	half := dial(t, f.SMTPSAddrs()[0].String())
	half.send(clientHello(t)[:50])
	whole := dial(t, f.SMTPSAddrs()[0].String())
	whole.send(clientHello(t))
	for _, p := range []*peer{silent, half, whole} {
		if _, err := io.Copy(io.Discard, p.r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	}
	until(t, "their handshakes are gone", func() bool { return f.edge.TLS.Handshaker.Open() == 0 })
}

func TestTruncatedStreamDeliversNothing(t *testing.T) {
	f := start(t, withTLS, nil)
	for name, end := range map[string]func(p *peer){
		"FIN without close_notify": func(p *peer) { _ = p.link.(secured).under.CloseWrite() },
		"close_notify":             func(p *peer) { _ = p.CloseWrite() },
		"reset":                    func(p *peer) { _ = p.SetLinger(0); _ = p.link.(secured).under.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := f.dialSMTPS(t, modern)
			p.expect("220 ")
			p.say("EHLO client.test", "250 ")
			p.say("MAIL FROM:<a@client.test>", "250 ")
			p.say("RCPT TO:<mbrain@localhost>", "250 ")
			p.say("DATA", "354 ")
			p.send("Subject: half\r\n\r\nthe rest is cut off\r\n")
			end(p)
			if name != "reset" {
				p.end()
			}
		})
	}
	until(t, "the sessions are gone", func() bool { return f.group.Conns() == 0 })
	q := f.login(t, "mbrain")
	q.say("STAT", "+OK 0 ")
}

// A client that ends its stream in order after its last command still gets all
// replies, and our own close_notify.
func TestHalfCloseWithinTLS(t *testing.T) {
	f := start(t, withTLS, nil)
	p := f.dialSMTPS(t, modern)
	p.send("EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<mbrain@localhost>\r\nDATA\r\n")
	p.expect("220 ")
	p.expect("250 ")
	p.expect("250 ")
	p.expect("250 ")
	p.expect("354 ")
	p.send("x\r\n.\r\nQUIT\r\n")
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	p.expect("250 2.0.0")
	p.expect("221 ")
	p.end() // io.EOF and not io.ErrUnexpectedEOF: with close_notify
}

func TestSTLS(t *testing.T) {
	f := start(t, nil, nil)
	f.deliver(t, "mbrain@localhost", "x\r\n")
	clear := f.dialPOP3(t)
	clear.expect("+OK")
	clear.say("CAPA", "+OK")
	if caps := clear.listing(); !strings.Contains(caps, "STLS\r\n") {
		t.Errorf("CAPA lists %q", caps)
	}
	clear.say("USER jsmith", "+OK")
	clear.say("STLS", "+OK")
	p := clear.secure(modern)
	p.say("PASS secret", "-ERR") // the name is forgotten
	p.say("STLS", "-ERR")
	p.say("USER mbrain", "+OK")
	p.say("PASS secret", "+OK")
	p.say("STAT", "+OK 1 ")
	p.say("QUIT", "+OK")
	p.end()

	q := f.dialPOP3(t)
	q.expect("+OK")
	q.send("STLS\r\nUSER mbrain\r\n")
	q.expect("-ERR")
	q.end()
}
