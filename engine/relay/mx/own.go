package mx

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// interfacesAge is how long the list of the machine's addresses is kept.
const interfacesAge = time.Minute

// Listeners makes Options.Own for a server that accepts mail at these addresses. An
// unspecified address, such as 0.0.0.0:25, means all addresses that the machine has at the
// time. interfaces lists them: it is [net.InterfaceAddrs] except in tests. Listeners does
// not find addresses that a router translates to ours; use OwnNames for them.
func Listeners(at []netip.AddrPort, interfaces func() ([]net.Addr, error), now func() time.Time) func(netip.AddrPort) bool {
	o := &ownAddresses{at: at, interfaces: interfaces, now: now}
	return o.has
}

// ownAddresses knows the addresses at which this server accepts mail. It is safe for use by
// many goroutines.
type ownAddresses struct {
	at         []netip.AddrPort
	interfaces func() ([]net.Addr, error)
	now        func() time.Time

	mu    sync.Mutex
	known []netip.Addr // under mu
	until time.Time    // under mu
}

func (o *ownAddresses) has(a netip.AddrPort) bool {
	for _, l := range o.at {
		listens := l.Addr().Unmap()
		switch {
		case l.Port() != a.Port():
		case listens == a.Addr():
			return true
		case listens.IsUnspecified() && (listens.Is6() || a.Addr().Is4()) && o.isOfMachine(a.Addr()):
			return true
		}
	}
	return false
}

// isOfMachine reports whether an address is this machine's. All addresses in 127.0.0.0/8
// are, whatever the interfaces list.
func (o *ownAddresses) isOfMachine(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); !now.Before(o.until) {
		o.until = now.Add(interfacesAge)
		o.load()
	}
	return slices.Contains(o.known, a.WithZone(""))
}

// load reads the machine's addresses. After an error it keeps the earlier ones.
func (o *ownAddresses) load() {
	addrs, err := o.interfaces()
	if err != nil {
		return
	}
	o.known = nil
	for _, addr := range addrs {
		if p, err := netip.ParsePrefix(addr.String()); err == nil {
			o.known = append(o.known, p.Addr().Unmap())
		}
	}
}
