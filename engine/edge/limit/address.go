package limit

import "net/netip"

// Client is what counts as one client: an IPv4 address, an IPv6 /64, in which a host
// has as many addresses as it likes.
func Client(ip netip.Addr) netip.Prefix { return prefix(ip, 32, 64) }

// Customer is what one customer of a provider can move around in: an IPv4 /24, an IPv6 /64.
func Customer(ip netip.Addr) netip.Prefix { return prefix(ip, 24, 64) }

// Network is the neighbourhood of a client: an IPv4 /24, an IPv6 /48.
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
