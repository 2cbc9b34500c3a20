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

// DNSSEC selects the name servers whose AD bit is trusted, as relay.dnssec does.
type DNSSEC string

// The values of DNSSEC. "" is DNSSECAuto.
const (
	DNSSECAuto DNSSEC = "auto" // servers on this machine
	DNSSECOn   DNSSEC = "on"   // all servers
	DNSSECOff  DNSSEC = "off"  // no server
)

// forwarders are servers on this machine that pass on the AD bit from remote servers:
// Docker's, and the second address of systemd-resolved.
var forwarders = map[netip.Addr]bool{
	netip.AddrFrom4([4]byte{127, 0, 0, 11}): true,
	netip.AddrFrom4([4]byte{127, 0, 0, 54}): true,
}

// trusts reports whether a server's AD bit counts.
func (s *servers) trusts(addr string) bool {
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

// Validates reports whether answers can be Secure: whether a trusted name server validates.
// It asks the trusted servers for the root's SOA record now. why explains the result.
func (r *Resolver) Validates(ctx context.Context) (yes bool, why string) {
	var trusted []string
	servers := r.source.Load().servers
	for _, addr := range servers.addrs {
		if servers.trusts(addr) {
			trusted = append(trusted, addr)
		}
	}
	if len(trusted) == 0 {
		return false, "no trusted name server in relay.resolvers; see relay.dnssec"
	}
	for _, addr := range trusted {
		m, err := servers.one(ctx, addr, ".", miekg.TypeSOA)
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

// TLSA looks up the TLSA records for a port on a host (RFC 7672). It returns only records
// that DNSSEC has validated. Call it only for a host that is Secure: other domains' name
// servers often answer TLSA questions wrong (RFC 7672 section 2.2.2). An error means that no
// name server answered.
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

// TXT looks up the TXT records at a label under a domain, each with its strings joined. An
// error means that no name server answered.
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
