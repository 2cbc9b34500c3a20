package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/engine/admit/screen"
	"postrider/engine/config"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/host/maillog"
)

// among makes loopback a network of untrusted clients that may speak for others by XCLIENT,
// with names from this server.
func among(server *dnstest.Server, set func(*config.Policy)) func(*config.Config) {
	return func(cfg *config.Config) {
		cfg.SMTP.TrustedNetworks, cfg.Relay.Networks = nil, nil
		cfg.Relay.Resolvers = []string{server.Addr()}
		cfg.Policy.XclientNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		if set != nil {
			set(&cfg.Policy)
		}
	}
}

// as goes on as another client and says EHLO.
func (p *peer) as(client string) *peer {
	p.t.Helper()
	p.say("XCLIENT ADDR="+client, "220 ")
	p.send("EHLO client.test\r\n")
	p.lines()
	return p
}

func (f *fixture) stranger(t testing.TB, client string) *peer {
	t.Helper()
	p := f.dialSMTP(t)
	p.expect("220 ")
	return p.as(client)
}

// logged collects the log.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) has(t *testing.T, text string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.Contains(l.b.String(), text) {
		t.Errorf("the log lacks %q:\n%s", text, l.b.String())
	}
}

// ear is a handler of a log; it drops lines before listenIn.
type ear struct {
	to atomic.Pointer[logged]
}

func (e *ear) Enabled(context.Context, slog.Level) bool { return e.to.Load() != nil }
func (e *ear) Handle(ctx context.Context, r slog.Record) error {
	if to := e.to.Load(); to != nil {
		h := maillog.New(to, false, slog.LevelInfo, "mx.test")
		defer h.Close() // the line is written when Handle returns
		return h.Handle(ctx, r)
	}
	return nil
}
func (e *ear) WithAttrs([]slog.Attr) slog.Handler { return e }
func (e *ear) WithGroup(string) slog.Handler      { return e }

// listenIn has the server's log collected from now on.
func (f *fixture) listenIn() *logged {
	l := new(logged)
	f.ear.to.Store(l)
	return l
}

func TestConnectionRate(t *testing.T) {
	f := start(t, among(dnstest.Start(t), func(p *config.Policy) {
		p.ReverseDNS = false
		p.ClientConnections, p.NetworkConnections = "3/1h", "4/1h"
	}), nil)
	log := f.listenIn()
	for range 2 {
		f.dialSMTP(t).expect("220 ")
	}
	p := f.dialSMTP(t) // the third
	p.expect("220 ")
	q := f.dialSMTP(t)
	q.expect("421 4.7.0 mx.test Too many connections from your address, limit 3/1h")
	q.end()
	p.as("192.0.2.1").say("NOOP", "250 ")
	for i := range 3 {
		p.say(fmt.Sprintf("XCLIENT ADDR=192.0.2.%d", 2+i), "220 ")
	}
	p.say("XCLIENT ADDR=192.0.2.77", "421 4.7.0 mx.test Too many connections from your network 192.0.2.0/24, limit 4/1h")
	p.end()
	if n := f.guard.Stats.ConnectionRate[screen.OfClient].Load(); n != 1 || f.guard.Stats.ConnectionRate[screen.OfNetwork].Load() != 1 {
		t.Errorf("%d counted", n)
	}
	log.has(t, "reject: CONNECT from unknown[127.0.0.1]: 421 4.7.0")
}

func TestMessageRate(t *testing.T) {
	f := start(t, among(dnstest.Start(t), func(p *config.Policy) {
		p.ReverseDNS, p.ClientMessages = false, "2/1h"
	}), nil)
	log := f.listenIn()
	p := f.stranger(t, "192.0.2.1")
	p.submit("Subject: 1\r\n\r\n")
	p.submit("Subject: 2\r\n\r\n")
	p.say("MAIL FROM:<a@client.test>", "450 4.7.1 Too many messages from your address, limit 2/1h")
	p.say("NOOP", "250 ")
	p.as("192.0.2.2").submit("Subject: 3\r\n\r\n")
	log.has(t, "Sender address rejected: Too many messages")
}

func TestNoRatesForTheKnown(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		cfg.Policy.ClientConnections, cfg.Policy.ClientMessages = "1/1h", "1/1h"
		cfg.Policy.GreetDelay = time.Hour
	}, nil)
	for range 3 {
		p := f.dialSMTP(t)
		p.expect("220 ")
		p.say("EHLO client.test", "250 ")
		p.submit("Subject: x\r\n\r\n")
	}
	if f.guard.Checks() != 0 || f.guard.Stats.Checked.Load() != 0 {
		t.Error("the mail of a known client was checked")
	}
}

func TestEarlyTalkers(t *testing.T) {
	t.Parallel()
	for _, manners := range []config.Manners{config.MannersLog, config.MannersRefuse} {
		t.Run(string(manners), func(t *testing.T) {
			f := start(t, among(dnstest.Start(t), func(p *config.Policy) {
				p.ReverseDNS, p.GreetDelay, p.EarlyTalkers, p.XclientNetworks = false, time.Second, manners, nil
			}), nil)
			log := f.listenIn()
			f.dialSMTP(t).expect("220 ") // one with manners
			p := f.dialSMTP(t)
			p.send("EHLO client.test\r\n")
			if manners == config.MannersRefuse {
				p.expect("554 5.5.1 You spoke before the greeting")
				p.end()
			} else {
				p.expect("220 ")
				p.lines()
				p.say("QUIT", "221 ")
			}
			log.has(t, "early talker: unknown[127.0.0.1] spoke before the greeting")
			if n := f.guard.Stats.EarlyTalkers.Load(); n != 1 {
				t.Errorf("%d early talkers", n)
			}
		})
	}
}

// The greeting of XCLIENT waits as the first one does.
func TestGreetDelayOfXCLIENT(t *testing.T) {
	t.Parallel()
	f := start(t, among(dnstest.Start(t), func(p *config.Policy) { p.ReverseDNS, p.GreetDelay = false, time.Second }), nil)
	f.stranger(t, "192.0.2.1").say("NOOP", "250 ")
}

func TestImproperPipelining(t *testing.T) {
	const whole = "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<mbrain@localhost>\r\n"
	for _, manners := range []config.Manners{config.MannersLog, config.MannersRefuse} {
		t.Run(string(manners), func(t *testing.T) {
			f := start(t, among(dnstest.Start(t), func(p *config.Policy) {
				p.ReverseDNS, p.Pipelining, p.Verify = false, manners, false
			}), nil)
			log := f.listenIn()
			p := f.dialSMTP(t)
			p.expect("220 ")
			p.send(whole)
			p.lines()
			q := f.stranger(t, "192.0.2.1")
			q.say("MAIL FROM:<a@client.test>", "250 ")
			q.say("RCPT TO:<mbrain@localhost>", "250 ")
			q.send("DATA\r\nSubject: x\r\n\r\n.\r\n")
			q.expect("354 ")
			if manners == config.MannersRefuse {
				p.expect("503 5.5.0 Improper pipelining")
				q.expect("503 5.5.0 Improper pipelining")
			} else {
				p.expect("250 2.1.0")
				q.expect("250 2.0.0")
			}
			log.has(t, "improper pipelining by unknown[127.0.0.1] helo=<client.test>")
			log.has(t, "improper pipelining by unknown[192.0.2.1] helo=<client.test>")
		})
	}
}

func TestReverseDNS(t *testing.T) {
	server := dnstest.Start(t,
		"1.2.0.192.in-addr.arpa. 60 IN PTR mx.sender.example.",
		"mx.sender.example. 60 IN A 192.0.2.1",
		"2.2.0.192.in-addr.arpa. 60 IN PTR mx.sender.example.", // a lie
		`3.2.0.192.in-addr.arpa. 60 IN PTR evil\)name.example.`)
	server.Behave("4.2.0.192.in-addr.arpa", dns.TypeANY, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	f := start(t, among(server, func(p *config.Policy) { p.Verify = false }), nil)
	log := f.listenIn()
	p := f.dialSMTP(t)
	p.expect("220 ")
	for _, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"} {
		p.as(client).submit("Subject: x\r\n\r\n")
	}
	q := f.login(t, "mbrain")
	for i, want := range []string{"(mx.sender.example [192.0.2.1])", "(unknown [192.0.2.2])", "(unknown [192.0.2.3])", "(unknown [192.0.2.4])", "(unknown [192.0.2.5])"} {
		q.say(fmt.Sprintf("RETR %d", i+1), "+OK")
		if got := q.listing(); !strings.Contains(got, want) {
			t.Errorf("want %s in\n%s", want, got)
		}
	}
	log.has(t, "client=mx.sender.example[192.0.2.1]")
}

func TestBlocklists(t *testing.T) {
	server := dnstest.Start(t,
		"1.2.0.192.bad.example. 60 IN A 127.0.0.2",
		"1.2.0.192.worse.example. 60 IN A 127.0.0.4",
		"2.2.0.192.bad.example. 60 IN A 127.0.0.2",
		"3.2.0.192.bad.example. 60 IN A 127.0.0.2",
		"3.2.0.192.worse.example. 60 IN A 127.0.0.4",
		"3.2.0.192.good.example. 60 IN A 127.0.0.10",
		"4.2.0.192.worse.example. 60 IN A 127.0.0.9",
		"5.2.0.192.bad.example. 60 IN A 127.255.255.254")
	server.Behave("6.2.0.192.bad.example", dns.TypeANY, dnstest.Behaviour{Silent: true})
	f := start(t, among(server, func(p *config.Policy) {
		p.Blocklists = []string{"bad.example", "worse.example score=2 codes=127.0.0.4", "good.example score=-5"}
		p.BlockThreshold, p.LookupTimeout = 2, 300*time.Millisecond
	}), nil)
	log := f.listenIn()
	p := f.dialSMTP(t)
	p.expect("220 ")
	p.say("XCLIENT ADDR=192.0.2.1", "554 5.7.1 Service refused: 192.0.2.1 is listed by worse.example, bad.example (score 3)")
	for _, fine := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "2001:db8::1"} {
		if strings.Contains(fine, ":") {
			fine = "IPV6:" + fine
		}
		p.as(fine)
	}
	if n := f.guard.Stats.Listed.Load(); n != 1 {
		t.Errorf("%d refused", n)
	}
	log.has(t, "Client host rejected: Service refused: 192.0.2.1 is listed by")
}

func TestGreylisting(t *testing.T) {
	f := start(t, among(dnstest.Start(t), func(p *config.Policy) {
		p.ReverseDNS, p.Greylist, p.GreylistDelay, p.Verify = false, true, time.Second, false
	}), nil)
	p := f.stranger(t, "192.0.2.1")
	p.say("MAIL FROM:<A@client.test>", "250 ")
	p.say("RCPT TO:<nobody@localhost>", "550 5.1.1")
	p.say("RCPT TO:<mbrain@localhost>", "450 4.7.1 Greylisted: you were not seen here before, come back in 1s")
	p.say("DATA", "554 ")
	time.Sleep(1100 * time.Millisecond)
	p.say("RSET", "250 ")
	p.as("192.0.2.9").submit("Subject: x\r\n\r\n") // another host of the same pool
	if n := f.guard.Stats.Greylisted.Load(); n != 1 {
		t.Errorf("%d greylisted", n)
	}
}

func TestProxyProtocol(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		among(dnstest.Start(t), nil)(cfg)
		cfg.Policy.ReverseDNS, cfg.Policy.Verify = false, false
		cfg.Policy.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, nil)
	log := f.listenIn()
	const one = "PROXY TCP4 192.0.2.44 198.51.100.1 4000 25\r\n"
	const two = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x2d\xc6\x33\x64\x01\xdc\x04\x00\x19"

	p := f.dialSMTP(t)
	p.send(one[:20])
	p.send(one[20:] + "EHLO client.test\r\n") // right after the header
	p.expect("220 ")
	p.lines()
	p.submit("Subject: x\r\n\r\n")

	q := dial(t, f.SMTPSAddrs()[0].String())
	q.send(two)
	q = q.secure(modern)
	q.expect("220 ")
	q.say("EHLO client.test", "250 ")
	q.submit("Subject: x\r\n\r\n")
	log.has(t, "client=unknown[192.0.2.44]")
	log.has(t, "client=unknown[192.0.2.45]")

	r := f.dialPOP3(t)
	r.send("PROXY TCP6 2001:db8::1 2001:db8::2 4000 110\r\n")
	r.expect("+OK")

	n := f.dialSMTP(t)
	n.send("EHLO client.test\r\n")
	if _, err := n.Read(make([]byte, 1)); err == nil {
		t.Error("a balancer without a header was served")
	}
	log.has(t, "refused: no PROXY header")
}
