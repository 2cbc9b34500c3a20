package mx

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"postrider/engine/edge/dns"
	"postrider/engine/mail/router"
)

// Families selects the IP versions to look up, as relay.families does.
type Families string

// The values of Families. "" is Both.
const (
	Both     Families = "both"
	OnlyIPv4 Families = "ipv4"
	OnlyIPv6 Families = "ipv6"
)

// Options are the settings for a Finder. The zero value is for a server on the Internet.
type Options struct {
	Port     uint16 // the port if the next hop has none; 0: 25
	Families Families
	Shuffle  func(n int, swap func(i, j int)) // nil: rand.Shuffle; safe for many goroutines if many call Hosts

	// Own reports whether this server accepts mail at an address. OwnNames are this
	// server's names. A name counts at port Port only, because another server may listen
	// on another port of this machine.
	Own      func(netip.AddrPort) bool
	OwnNames []string

	// Named reports whether the operator named a next hop, which then may have any address.
	// The owner of a domain chooses the other hops, which may have public addresses and
	// addresses in Private only. nil: hops by host are named, hops by MX are not.
	Named   func(router.Hop) bool
	Private []netip.Prefix
}

// Finder finds the hosts for next hops. It is safe for use by many goroutines.
type Finder struct {
	names *dns.Resolver
	rules atomic.Pointer[rules]
}

// rules are the Options, as a search needs them.
type rules struct {
	options  Options
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
	f := &Finder{names: names}
	f.Configure(o)
	return f
}

// Configure replaces the Options. Searches that have begun keep theirs.
func (f *Finder) Configure(o Options) { f.rules.Store(rulesOf(o)) }

// Options returns the Options that count now.
func (f *Finder) Options() Options { return f.rules.Load().options }

func rulesOf(o Options) *rules {
	f := &rules{
		options:  o,
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

// Hosts finds the hosts to try for a next hop, best first. The error is always an *[Error].
// If ctx ends, the questions go on: the cache keeps the answers for the next caller.
func (f *Finder) Hosts(ctx context.Context, hop router.Hop) (*Answer, error) {
	r := f.rules.Load()
	s := &search{rules: r, names: f.names, ctx: ctx, port: cmp.Or(hop.Port, r.port), chosen: r.named(hop)}
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

// Addrs finds the addresses of a host other than a mail host, as Hosts does for a hop by
// host.
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
