package server

import (
	"net/netip"
	"testing"

	"postrider/engine/config"
)

// A client that begins too many handshakes is told so at STARTTLS and cut off where
// TLS comes first; another one is served.
func TestHandshakesOfAClientArePaced(t *testing.T) {
	f := start(t, func(cfg *config.Config) {
		withTLS(cfg)
		cfg.TLS.ClientHandshakes = "3/1h"
		cfg.Policy.ReverseDNS, cfg.Policy.Verify = false, false
		cfg.Policy.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, nil)
	log := f.listenIn()
	from := func(at netip.AddrPort, family, ip string) *peer {
		p := dial(t, at.String())
		p.send("PROXY " + family + " " + ip + " " + ip + " 4000 25\r\n")
		return p
	}
	smtp, smtps, pop3 := f.SMTPAddrs()[0], f.SMTPSAddrs()[0], f.POP3Addrs()[0]
	const client, neighbour, other = "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"

	from(smtps, "TCP6", client).secure(modern).expect("220 ")
	p := from(smtp, "TCP6", neighbour) // the same host, as far as one can tell
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("STARTTLS", "220 ")
	p.secure(modern).say("EHLO client.test", "250 ")
	q := from(pop3, "TCP6", client)
	q.expect("+OK")
	q.say("STLS", "+OK")
	q.secure(modern).say("CAPA", "+OK")

	p = from(smtp, "TCP6", client)
	p.expect("220 ")
	p.say("EHLO client.test", "250 ")
	p.say("STARTTLS", "454 4.7.0 Too many TLS handshakes from your address, limit 3/1h")
	p.say("NOOP", "250 ")
	q = from(pop3, "TCP6", neighbour)
	q.expect("+OK")
	q.say("STLS", "-ERR")
	r := from(smtps, "TCP6", client)
	r.send(clientHello(t))
	r.end()
	log.has(t, "too many TLS handshakes from unknown["+client+"] (tls.client_handshakes 3/1h)")
	if n := f.edge.Stats.TLSPaced.Load(); n != 3 {
		t.Errorf("%d were turned away", n)
	}
	from(smtps, "TCP6", other).secure(modern).expect("220 ")
	from(smtps, "TCP4", "192.0.2.1").secure(modern).expect("220 ")
}
