package server

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"postrider/engine/config"
	"postrider/engine/edge/conn"
	"postrider/engine/front/web"
)

// current is the configuration that counts, and whether the server ends.
type current struct {
	live      atomic.Pointer[config.Config] // see Server.Reload
	draining  atomic.Bool
	reloading sync.Mutex // held by Server.Reload, and by the first step of Server.Quiesce
	closing   sync.Once  // see Server.Close
}

// config is the configuration that counts now. It does not change: Reload replaces it.
func (s *current) config() *config.Config { return s.live.Load() }

// isBalancer reports whether connections from an address begin with a PROXY header.
func (s *current) isBalancer(ip netip.Addr) bool { return s.config().IsBalancer(ip) }

// isOwn reports whether an address is of a network of our own.
func (s *current) isOwn(ip netip.Addr) bool { return s.trusts(ip) || s.config().MayRelay(ip) }

// trusts reports whether the address is on a network that may ask VRFY and EXPN.
func (s *current) trusts(ip netip.Addr) bool {
	for _, n := range s.config().SMTP.TrustedNetworks {
		if n.Contains(ip) {
			return true
		}
	}
	return false
}

// IsProxy reports whether an address is of a proxy in web.proxies.
func (s *current) IsProxy(ip netip.Addr) bool { return web.Proxies(s.config().Web.Proxies).Has(ip) }

// httpClient is how a connection of HTTP is counted; the zero Addr is a client without a
// limit.
func (s *current) httpClient(ip netip.Addr) (client netip.Addr, at conn.Service, own bool) {
	for _, n := range s.config().Web.Proxies {
		if n.Contains(ip.Unmap()) {
			return netip.Addr{}, conn.WebService, true
		}
	}
	return ip, conn.WebService, s.isOwn(ip)
}
