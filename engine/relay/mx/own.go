package mx

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// interfacesAge is how long the addresses of the machine are believed.
const interfacesAge = time.Minute

// Listeners makes Options.Own for a server that takes mail at these addresses.
// An unspecified one, such as 0.0.0.0:25, is every address that the machine has at
// the time: interfaces lists them, and is [net.InterfaceAddrs] outside of tests.
// An address that only a router translates to one of ours is not found; OwnNames
// are for that.
func Listeners(at []netip.AddrPort, interfaces func() ([]net.Addr, error), now func() time.Time) func(netip.AddrPort) bool {
	o := &ownAddresses{at: at, interfaces: interfaces, now: now}
	return o.has
}

// ownAddresses is safe for use by many goroutines.
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

// isOfMachine: all of 127.0.0.0/8 leads here, whatever the interfaces list.
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

// load keeps what was known if the system doesn't say.
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
