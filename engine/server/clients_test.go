package server

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/host/maillog"
)

// Connections of HTTP count together with connections of SMTP and POP3; a proxy is many clients.
func TestConnectionsOfHTTPCount(t *testing.T) {
	client, proxy := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:10.1.1.1")
	cfg := config.Default()
	cfg.Web.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	cfg.Limits.Connections, cfg.Limits.ConnectionsPerClient = 10, 3
	srv := &Server{log: maillog.Log{Logger: slog.New(slog.DiscardHandler)}}
	srv.live.Store(cfg)
	srv.edge = srv.newEdge()
	smtp := func() bool { return srv.edge.Admit(client, conn.MailService, false) }
	total := func() int {
		n, _ := srv.edge.Clients.Open()
		return n
	}
	var leave []func()
	http := func(ip netip.Addr) bool {
		out := srv.AdmitHTTP(ip)
		if out != nil {
			leave = append(leave, out)
		}
		return out != nil
	}
	if !smtp() || !http(client) || !http(client) || http(client) || smtp() {
		t.Error("one client")
	}
	for range 7 {
		if !http(proxy) {
			t.Error("a proxy is refused")
		}
	}
	if http(proxy) || total() != 10 {
		t.Error("more than limits.connections")
	}
	other := cfg.Clone() // connections are counted out as they were counted in
	other.Web.Proxies = nil
	srv.live.Store(other)
	for _, out := range leave {
		out()
	}
	srv.edge.Leave(client, conn.MailService, false)
	if n := total(); n != 0 {
		t.Errorf("%d connections are still counted", n)
	}
}

// named connects for a client, as a balancer does.
func (f *fixture) named(t *testing.T, to netip.AddrPort, client string) *peer {
	t.Helper()
	p := dial(t, to.String())
	p.send("PROXY TCP4 " + client + " 198.51.100.1 4000 25\r\n")
	return p
}

// Strangers take all that they may have of SMTP and of POP3, and say nothing: hosts of our
// own networks are served at each port, and strangers are at the others. The metrics say
// who was refused.
func TestStrangersThatHoldConnections(t *testing.T) {
	f := start(t, func(c *config.Config) {
		c.Policy.ReverseDNS, c.Policy.Verify = false, false
		c.Policy.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Limits.Connections, c.Limits.ConnectionsPerClient = 60, 60
		c.SMTP.TrustedNetworks = nil
		c.Relay.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		c.Submission.Listen = []string{"127.0.0.1:0"}
	}, nil)
	stranger := func(i int) string { return fmt.Sprintf("198.51.%d.1", i%250) }
	served, refused := 0, 0
	for i := range 70 {
		p := f.named(t, f.SMTPAddrs()[0], stranger(i))
		switch line := p.line(); {
		case strings.HasPrefix(line, "220 "):
			served++
		case strings.HasPrefix(line, "421 "):
			refused++
		default:
			t.Fatal(line)
		}
	}
	if all, strange := f.edge.Clients.Open(); served != 42 || strange != 42 || all != 42 || refused != 28 {
		t.Errorf("%d strangers are served, %d refused; %d of %d are strangers'", served, refused, strange, all)
	}
	f.named(t, f.SMTPAddrs()[0], "192.0.2.1").expect("220 ")
	f.named(t, f.POP3Addrs()[0], "198.51.100.7").expect("+OK ")
	f.named(t, f.SubmissionAddrs()[0], "198.51.100.7").expect("220 ")
	f.named(t, f.SubmissionAddrs()[0], "192.0.2.1").expect("220 ")
	if n := f.edge.Clients.Refusals[conn.TooManyOfStrangers].Load(); n != 28 {
		t.Errorf("%d refusals are counted", n)
	}
}
