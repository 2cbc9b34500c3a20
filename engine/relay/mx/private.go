package mx

import (
	"net/netip"
	"slices"

	"postrider/engine/mail/router"
)

// The owner of a domain decides where its mail goes, and so what this host connects to. A
// domain must not make this host connect to private or local addresses: programs there often
// trust all clients that can reach them.

// notPublic are the addresses in the special-purpose registries (RFC 6890 and IANA) that no
// host on the Internet has. Documentation addresses are left out, since no host has them.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // this network
	netip.MustParsePrefix("10.0.0.0/8"),     // private
	netip.MustParsePrefix("100.64.0.0/10"),  // shared by customers of a provider
	netip.MustParsePrefix("127.0.0.0/8"),    // loopback
	netip.MustParsePrefix("169.254.0.0/16"), // link-local
	netip.MustParsePrefix("172.16.0.0/12"),  // private
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("192.168.0.0/16"), // private
	netip.MustParsePrefix("198.18.0.0/15"),  // for benchmarks within a network
	netip.MustParsePrefix("224.0.0.0/3"),    // multicast, reserved, broadcast
	netip.MustParsePrefix("::/127"),         // unspecified, loopback
	netip.MustParsePrefix("64:ff9b:1::/48"), // NAT64 within a network
	netip.MustParsePrefix("100::/64"),       // discarded
	netip.MustParsePrefix("fc00::/7"),       // unique local
	netip.MustParsePrefix("fe80::/10"),      // link-local
	netip.MustParsePrefix("fec0::/10"),      // site-local
	netip.MustParsePrefix("ff00::/8"),       // multicast
}

// embedding are IPv6 networks whose addresses have an IPv4 address in them, to which a router
// translates. from is the octet where the IPv4 address begins, flip is xored with its
// octets.
var embedding = []struct {
	netip.Prefix
	from int
	flip byte
}{
	{netip.MustParsePrefix("::/96"), 12, 0},           // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, 0}, // IPv4-translated (SIIT)
	{netip.MustParsePrefix("64:ff9b::/96"), 12, 0},    // NAT64
	{netip.MustParsePrefix("2002::/16"), 2, 0},        // 6to4
	{netip.MustParsePrefix("2001::/32"), 12, 0xff},    // Teredo
}

// inIPv6 returns the IPv4 address in an IPv6 address.
func inIPv6(a netip.Addr) (four netip.Addr, ok bool) {
	if a.Is4() {
		return four, false
	}
	if a.Is4In6() {
		return a.Unmap(), true
	}
	b := a.As16()
	for _, e := range embedding {
		if e.Contains(a) {
			var v [4]byte
			for i := range v {
				v[i] = b[e.from+i] ^ e.flip
			}
			return netip.AddrFrom4(v), true
		}
	}
	return four, false
}

// isAllowed reports whether a domain may lead to an address: the address is public, or in
// relay.private_networks.
func (f *rules) isAllowed(a netip.Addr) bool {
	a = a.WithZone("")
	in := func(networks []netip.Prefix) bool {
		return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
	}
	if in(f.private) {
		return true
	}
	if in(notPublic) {
		return false
	}
	four, ok := inIPv6(a)
	return !ok || f.isAllowed(four)
}

// namedByHost is the default for Options.Named: the caller chooses a hop by host.
func namedByHost(hop router.Hop) bool { return hop.Kind == router.ByHost }
