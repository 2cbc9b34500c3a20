package engine

import (
	"log/slog"
	"net"
	"net/netip"

	"postrider/engine/config"
	"postrider/engine/courier"
	"postrider/engine/relay"
	"postrider/engine/resolver"
)

// NewResolver returns the resolver of next hops as cfg has it. own says which
// addresses this server itself takes mail at.
func NewResolver(cfg *config.Config, own func(netip.AddrPort) bool, log *slog.Logger) *resolver.Resolver {
	return resolver.New(resolver.Options{
		Servers: cfg.Relay.Resolvers, Port: uint16(cfg.Relay.Port), Families: resolver.Families(cfg.Relay.Families),
		Own: own, OwnNames: []string{cfg.Server.Hostname}, Log: log,
	})
}

// newCourier makes what works the queue.
func (srv *Server) newCourier(log *slog.Logger) (*courier.Courier, error) {
	hosts := NewResolver(srv.cfg, OwnAddresses(srv.SMTPAddrs()), log)
	return courier.New(srv.cfg, srv.store, srv.router, hosts, log)
}

// OwnAddresses says of an address whether one of the listeners is behind it. A
// listener on no address in particular is behind all of this machine.
func OwnAddresses(listeners []netip.AddrPort) func(netip.AddrPort) bool {
	var machine []netip.Addr
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				machine = append(machine, p.Addr().Unmap())
			}
		}
	}
	return func(at netip.AddrPort) bool {
		ip := at.Addr().Unmap()
		for _, l := range listeners {
			if l.Port() != at.Port() {
				continue
			}
			if l.Addr().Unmap() == ip {
				return true
			}
			if !l.Addr().IsUnspecified() {
				continue
			}
			for _, own := range machine {
				if own == ip {
					return true
				}
			}
		}
		return false
	}
}

// Courier is what works the queue of this server.
func (srv *Server) Courier() *courier.Courier { return srv.courier }

// deadSites is how many next hops are dead now.
func (srv *Server) deadSites() (n int) {
	srv.courier.Sites(func(s relay.SiteStatus) {
		if !s.DeadTill.IsZero() {
			n++
		}
	})
	return n
}
