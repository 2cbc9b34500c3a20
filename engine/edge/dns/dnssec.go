package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"
)

// DNSSEC says of which name servers it is believed that they have checked
// signatures, in the words of relay.dnssec.
type DNSSEC string

// The values of DNSSEC. "" is Auto.
const (
	DNSSECAuto DNSSEC = "auto" // those on this machine
	DNSSECOn   DNSSEC = "on"   // all
	DNSSECOff  DNSSEC = "off"  // none
)

// forwarders are on this machine, but pass on the AD bit of servers that are not:
// Docker's, and the second one of systemd-resolved.
var forwarders = map[netip.Addr]bool{
	netip.AddrFrom4([4]byte{127, 0, 0, 11}): true,
	netip.AddrFrom4([4]byte{127, 0, 0, 54}): true,
}

// believes says whether the AD bit of a server counts.
func (s *servers) believes(addr string) bool {
	switch s.dnssec {
	case DNSSECOn:
		return true
	case DNSSECOff:
		return false
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() && !forwarders[ip] || host == "localhost"
}

// Vouches says whether answers can be Secure: a name server that is believed
// validates. What it says is asked of it now, about the root. why is for people.
func (r *Resolver) Vouches(ctx context.Context) (yes bool, why string) {
	var believed []string
	for _, addr := range r.servers.addrs {
		if r.servers.believes(addr) {
			believed = append(believed, addr)
		}
	}
	if len(believed) == 0 {
		return false, "no name server of relay.resolvers is believed; see relay.dnssec"
	}
	for _, addr := range believed {
		m, err := r.servers.one(ctx, addr, ".", miekg.TypeSOA)
		switch {
		case err != nil:
			why = addr + ": " + strings.TrimSpace(err.Error())
		case m.AuthenticatedData:
			return true, addr + " checks signatures"
		default:
			why = addr + " does not check signatures"
		}
	}
	return false, why
}

// TLSA finds the records about the certificate of a host at a port (RFC 7672). Only
// those count that DNSSEC vouches for; ask only for a host that is Secure: name
// servers of others often answer wrong (RFC 7672 section 2.2.2). The error is that no
// name server gave an answer.
func (r *Resolver) TLSA(ctx context.Context, host string, port uint16) ([]TLSA, error) {
	name, ok := FQDN(host)
	if !ok {
		return nil, nil
	}
	rec := r.lookup(ctx, question{fmt.Sprintf("_%d._tcp.%s", port, name), miekg.TypeTLSA})
	switch {
	case rec.Outcome == Failed:
		return nil, errors.New(rec.Why)
	case !rec.Secure:
		return nil, nil
	}
	return rec.TLSA, nil
}

// TXT finds the TXT records at a label under a domain, each with its strings joined.
// The error is that no name server gave an answer.
func (r *Resolver) TXT(ctx context.Context, label, domain string) ([]string, error) {
	name, ok := FQDN(domain)
	if !ok {
		return nil, nil
	}
	rec := r.lookup(ctx, question{label + "." + name, miekg.TypeTXT})
	if rec.Outcome == Failed {
		return nil, errors.New(rec.Why)
	}
	return rec.Texts, nil
}
