package smtpsrv

import (
	"crypto/rand"
	"crypto/tls"
	"net/netip"

	"postrider/codec/sasl"
	"postrider/engine/admit/login"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/host/maillog"
	"postrider/engine/protocol/smtpd"
)

// Auth is what is done about AUTH at an address.
type Auth uint8

// The values of Auth.
const (
	NoAuth      Auth = iota // it is not offered
	OfferAuth               // a client may log in
	RequireAuth             // nothing is taken without a login
)

// Address is what is different at each address that is listened on.
type Address struct {
	Front    conn.Front   // for metrics
	Service  conn.Service // that its connections are counted for
	Auth     Auth
	BareLF   smtpd.BareLF
	TLS      *tls.Config // from the first octet; nil: clear text first
	StartTLS *tls.Config // nil: STARTTLS is not offered
}

// port is what the sessions of one listener share. There is a configuration of the machine
// for each Offer of the accounts.
type port struct {
	conn.Port
	service *Service
	rules   *Settings
	configs [login.Offers]smtpd.Config
}

// Listener returns what opens the sessions of an address. It is called on the goroutine of
// the connection's loop.
func (s *Service) Listener(at Address) conn.Opener {
	return s.newPort(at).open
}

func (s *Service) newPort(at Address) *port {
	set := s.set.Load()
	p := &port{service: s, rules: set, Port: conn.Port{
		Edge: s.edge, Daemon: maillog.SMTPD, Service: at.Service, Front: at.Front,
		Timeout: set.CommandTimeout, TooMany: s.TooMany(), TLS: at.TLS, StartTLS: at.StartTLS, Scribe: scribe,
	}}
	c := set.Machine
	c.BareLF, c.OfferTLS, c.Auth = at.BareLF, at.StartTLS != nil, set.auth(at.Auth)
	for o := range p.configs {
		p.configs[o] = c
		p.configs[o].Auth.Mechanisms = login.Offer(o).Of(c.Auth.Mechanisms)
	}
	return p
}

// auth is how clients log in at an address. In capture mode the mechanisms are the ones
// that tell the password, because any password is right; the others prove it to a server
// that knows it.
func (set *Settings) auth(at Auth) smtpd.Auth {
	if at == NoAuth {
		return smtpd.Auth{}
	}
	a := set.Machine.Auth
	if set.Capture {
		a = smtpd.Auth{Mechanisms: sasl.SetOf(sasl.Plain, sasl.Login), Plaintext: true}
	}
	a.Required, a.Nonce = at == RequireAuth, rand.Text
	return a
}

// open makes the session of a connection.
func (p *port) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	service := p.service
	s := &session{service: service, rules: p.rules, state: service.loops[c.Loop()]}
	if !s.Session.Open(&p.Port, c, from, s) {
		return conn.Refused{}
	}
	s.mayRelay = s.rules.MayRelay(s.IP)
	s.m.Init(&p.configs[service.door.Offer()], smtpd.Peer{
		Addr: s.Addr, Name: "unknown", Trusted: s.Trusted, Loopback: s.IP.IsLoopback(), Proxy: s.rules.MayXclient(s.IP),
	})
	service.Stats.Sessions.Add(1)
	if r := s.overRate(); r != nil {
		s.welcome(r)
		return &s.Session
	}
	return s.Start()
}
