package limit

import "net/netip"

// Client returns the addresses that count as one client: one IPv4 address, or an IPv6 /64,
// because a host can use any address in it.
func Client(ip netip.Addr) netip.Prefix { return prefix(ip, 32, 64) }

// Customer returns the addresses among which a provider's customer can move: an IPv4 /24 or
// an IPv6 /64.
func Customer(ip netip.Addr) netip.Prefix { return prefix(ip, 24, 64) }

// Network returns a client's network: an IPv4 /24 or an IPv6 /48.
func Network(ip netip.Addr) netip.Prefix { return prefix(ip, 24, 48) }

func prefix(ip netip.Addr, four, six int) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := six
	if ip.Is4() {
		bits = four
	}
	p, _ := ip.Prefix(bits) // fails for the zero Addr only, and is zero then
	return p
}
