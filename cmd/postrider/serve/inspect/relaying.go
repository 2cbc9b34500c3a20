package inspect

import (
	"net/netip"
	"strconv"
	"strings"

	"postrider/codec/address"
	"postrider/engine/mail/router"
)

// relaying looks for keys that let strangers send mail to other hosts.
func (r *report) relaying() {
	for _, n := range r.Relay.Networks {
		switch {
		case isWide(n):
			r.fault("relay.networks", "%s is an open relay: every host in it may send mail to anyone through this server, and spammers will; name only networks of your own clients, and let others log in (submission.listen)", n)
		case isLarge(n):
			r.warn("relay.networks", "%s has %s public addresses, all of which may send mail to anyone through this server: name only networks of your own clients", n, count(n))
		}
	}
	for _, n := range r.Policy.ProxyNetworks {
		if isWide(n) || isLarge(n) {
			r.fault("policy.proxy_networks", "%s is an open relay: every host in it may claim by a PROXY header to be any other one, also one of relay.networks; name only the addresses of your load balancers", n)
		}
		for _, inside := range r.Relay.Networks {
			if isWide(n) {
				break
			}
			if n.Overlaps(inside) && !n.Addr().IsLoopback() {
				r.warn("policy.proxy_networks", "%s overlaps %s of relay.networks: a connection whose header names no client has the balancer's rights, and may relay; take the balancer out of relay.networks", n, inside)
			}
		}
	}
	for _, n := range r.Policy.XclientNetworks {
		if isWide(n) || isLarge(n) {
			r.fault("policy.xclient_networks", "%s is an open relay: every host in it may claim by XCLIENT to be any other one, also one of relay.networks; name only hosts that run your tests", n)
		}
	}
	for _, n := range r.SMTP.TrustedNetworks {
		if isWide(n) {
			r.warn("smtp.trusted_networks", "%s frees every host from the limits of [policy], and lets it ask for the names of accounts by VRFY; name only networks of your own", n)
		}
	}
	for _, n := range r.Web.Proxies {
		if isWide(n) {
			r.warn("web.proxies", "%s lets every host claim another address by X-Forwarded-For, and so guess passwords without a limit; name only your HTTP proxies", n)
		}
	}
	for _, n := range r.Relay.PrivateNetworks {
		if isWide(n) {
			r.warn("relay.private_networks", "%s lets the MX of any domain send this server to hosts of your own network; name only the networks of mail hosts there", n)
		}
	}
}

// isWide reports whether a network is so large that it can't be anyone's own.
func isWide(n netip.Prefix) bool {
	if a := n.Addr(); a.Is6() && (a.IsPrivate() && n.Bits() >= 7 || a.IsLinkLocalUnicast() && n.Bits() >= 10) {
		return false
	}
	return n.Bits() < 8 || n.Addr().Is6() && n.Bits() < 16
}

// isLarge reports whether a network has more public addresses than most have.
func isLarge(n netip.Prefix) bool {
	a := n.Addr()
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(a) {
		return false
	}
	return a.Is4() && n.Bits() < 16 || a.Is6() && n.Bits() < 32
}

func count(n netip.Prefix) string {
	if n.Addr().Is4() {
		return strconv.Itoa(1 << (32 - n.Bits()))
	}
	return "2^" + strconv.Itoa(128-n.Bits())
}

// routes looks at where mail for other hosts goes: back to us, or nowhere.
func (r *report) routes() {
	if hop, err := router.ParseHop(r.Relay.Smarthost); err == nil && r.Relay.Smarthost != "" {
		r.loop("relay.smarthost", r.Relay.Smarthost, hop)
	}
	r.table("relay.transports", r.Relay.Transports)
	r.table("relay.sender_transports", r.Relay.SenderTransports)
}

// table looks at a list of PATTERN=NEXTHOP.
func (r *report) table(key string, entries []string) {
	first := make(map[string]string)
	for _, entry := range entries {
		pattern, text, _ := strings.Cut(entry, "=")
		pattern = address.FoldDomain(strings.TrimSpace(pattern))
		if other, ok := first[pattern]; ok {
			r.warn(key, "%q is never used: %q comes before it and is for the same; remove one", entry, other)
		}
		first[pattern] = entry
		if key == "relay.transports" {
			for _, d := range r.Server.Domains {
				if address.FoldDomain(d) == pattern {
					r.warn(key, "%q is never used: %s is in server.domains, so its mail is kept here; remove one of the two", entry, d)
				}
			}
		}
		if hop, err := router.ParseHop(strings.TrimSpace(text)); err == nil {
			r.loop(key, entry, hop)
		}
	}
}

// loop notes a next hop that is this server.
func (r *report) loop(key, entry string, hop router.Hop) {
	if hop.Host == "" || hop.Kind == router.Refused {
		return
	}
	port := hop.Port
	if port == 0 {
		port = 25
	}
	for _, b := range r.addresses() {
		if b.key != "smtp.listen" && b.key != "smtp.listen_tls" && b.key != "submission.listen" || b.at.Port() != port {
			continue
		}
		ip, err := netip.ParseAddr(hop.Host)
		same := err == nil && (ip == b.at.Addr() || ip.IsLoopback() && b.at.Addr().IsUnspecified()) ||
			hop.Host == "localhost" || hop.Host == r.Server.Hostname
		if same {
			r.fault(key, "%q leads back to this server, which listens on %s (%s): its mail would loop until it is refused; name another host", entry, b.text, b.key)
			return
		}
	}
}
