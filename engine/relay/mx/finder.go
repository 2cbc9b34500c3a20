package mx

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"

	"postrider/engine/edge/dns"
	"postrider/engine/mail/router"
)

// Families says which IP versions are looked for, in the words of relay.families.
type Families string

// The values of Families. "" is Both.
const (
	Both     Families = "both"
	OnlyIPv4 Families = "ipv4"
	OnlyIPv6 Families = "ipv6"
)

// Options are what a Finder is made from. The zero value is that of a server
// on the Internet.
type Options struct {
	Port     uint16                           // of hosts whose next hop names none; 0: 25
	Families Families                         // of the addresses
	Shuffle  func(n int, swap func(i, j int)) // nil: math/rand's; others need not be safe for many goroutines if Hosts is not called by many

	// Own says whether an address is one that this server takes mail at, and
	// OwnNames are its names. A name counts at the port Port only: at another
	// port of the same machine another server may listen.
	Own      func(netip.AddrPort) bool
	OwnNames []string

	// Named says whether the operator chose a next hop: it may be at any address. Other
	// hops are the choice of the owner of a domain, and lead to public addresses and to
	// those in Private only. nil: hops by host are chosen, those by MX are not.
	Named   func(router.Hop) bool
	Private []netip.Prefix
}

// Finder finds the hosts of next hops. It is safe for use by many goroutines.
type Finder struct {
	names    *dns.Resolver
	port     uint16
	types    []uint16 // A, AAAA or both
	isOwn    func(netip.AddrPort) bool
	ownNames map[string]bool // as dns.FQDN writes them
	named    func(router.Hop) bool
	private  []netip.Prefix
	shuffle  func(n int, swap func(i, j int))
}

// New makes a Finder that asks names.
func New(names *dns.Resolver, o Options) *Finder {
	f := &Finder{
		names:    names,
		port:     cmp.Or(o.Port, 25),
		types:    []uint16{dns.TypeA, dns.TypeAAAA},
		isOwn:    o.Own,
		ownNames: make(map[string]bool),
		named:    o.Named,
		private:  o.Private,
		shuffle:  o.Shuffle,
	}
	switch o.Families {
	case OnlyIPv4:
		f.types = []uint16{dns.TypeA}
	case OnlyIPv6:
		f.types = []uint16{dns.TypeAAAA}
	}
	if f.isOwn == nil {
		f.isOwn = func(netip.AddrPort) bool { return false }
	}
	if f.named == nil {
		f.named = namedByHost
	}
	for _, name := range o.OwnNames {
		if q, ok := dns.FQDN(name); ok {
			f.ownNames[q] = true
		}
	}
	if f.shuffle == nil {
		f.shuffle = rand.Shuffle
	}
	return f
}

// Names is the resolver that the Finder asks.
func (f *Finder) Names() *dns.Resolver { return f.names }

// Hosts finds the hosts to try for a next hop, best first. The error is always an
// *[Error]. A caller that gives up by ctx does not end the question: its answer
// is kept for the next one.
func (f *Finder) Hosts(ctx context.Context, hop router.Hop) (*Answer, error) {
	s := &search{Finder: f, ctx: ctx, port: cmp.Or(hop.Port, f.port), chosen: f.named(hop)}
	var err *Error
	switch hop.Kind {
	case router.Refused:
		err = refused(hop.Text)
	case router.ByHost:
		if err = s.byHost(hop.Host); err != nil && s.chosen {
			err = err.Softened()
		}
	default:
		err = s.byMX(hop.Host)
	}
	if err == nil {
		return &s.answer, nil
	}
	if cause := ctx.Err(); cause != nil && err.Cause == ErrTemporary {
		err.Cause = cause
	}
	err.Notes = append(s.answer.Notes, err.Notes...)
	return nil, err
}

// Addrs finds the addresses of a host that is no mail host, as Hosts does for a hop by host.
func (f *Finder) Addrs(ctx context.Context, name string, port uint16) ([]netip.AddrPort, error) {
	answer, err := f.Hosts(ctx, router.Hop{Kind: router.ByHost, Host: name, Port: port})
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, 0, len(answer.Hosts))
	for _, h := range answer.Hosts {
		addrs = append(addrs, h.Addr)
	}
	return addrs, nil
}
