package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"

	"postrider/codec/address"
	"postrider/engine/admit/policy"
	"postrider/engine/config"
	"postrider/engine/edge/dns"
	"postrider/engine/mail/dkim"
)

// query asks about the names of a configuration.
type query struct {
	report
	ctx   context.Context
	names *dns.Resolver
	own   []netip.Addr // addresses of server.hostname
	dead  bool         // no name server answered: nothing more is asked
}

// DNS looks at what DNS says of the host, of the domains and of the keys for DKIM.
func DNS(ctx context.Context, cfg *config.Config, domains []string, names *dns.Resolver) []Finding {
	q := &query{report: report{Config: cfg}, ctx: ctx, names: names}
	q.host()
	for _, d := range domains {
		if d = address.FoldDomain(d); d == "localhost" || q.dead {
			continue
		}
		q.exchanges(d)
		q.senders(d)
		q.policy(d)
	}
	if !q.dead {
		q.keys(domains)
		q.blocklists()
	}
	return q.found
}

// missing reports whether err says that there is no such record. Of a failure it notes
// that no name server answered.
func (q *query) missing(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return true
	}
	if !q.dead {
		q.fault("relay.resolvers", "no name server answers (asked: %s): %v; correct the key or /etc/resolv.conf, and run the check again", strings.Join(q.names.Servers(), ", "), err)
	}
	q.dead = true
	return false
}

// host looks at the name of this host and back from its addresses.
func (q *query) host() {
	const key = "server.hostname"
	name := q.Server.Hostname
	if name == "localhost" {
		return
	}
	addrs, err := q.names.LookupIPAddr(q.ctx, name)
	if q.missing(err) || err == nil && len(addrs) == 0 {
		q.fault(key, "%s has no address in DNS, and other hosts refuse mail of a host that they can't look up: add an A or AAAA record", name)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		q.own = append(q.own, ip)
		if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			q.warn(key, "%s has the address %s, at which other hosts can't reach it: publish the public address", name, ip)
			continue
		}
		q.reverse(ip)
	}
}

// reverse looks at the names of an address (forward-confirmed reverse DNS).
func (q *query) reverse(ip netip.Addr) {
	names, err := q.names.LookupAddr(q.ctx, ip.String())
	if err != nil && !q.missing(err) {
		return
	}
	for i := range names {
		names[i] = strings.TrimSuffix(address.FoldDomain(names[i]), ".")
	}
	switch {
	case len(names) == 0:
		q.fault("server.hostname", "the address %s has no name in DNS (PTR), and many hosts refuse its mail: have its provider set the name to %s", ip, q.Server.Hostname)
	case !slices.Contains(names, address.FoldDomain(q.Server.Hostname)):
		q.warn("server.hostname", "the address %s has the name %s in DNS (PTR), not %s: have its provider set the name, or use that one as server.hostname", ip, strings.Join(names, ", "), q.Server.Hostname)
	}
}

// exchanges looks at whether mail for a domain comes here.
func (q *query) exchanges(domain string) {
	const key = "server.domains"
	mxs, err := q.names.LookupMX(q.ctx, domain)
	if err != nil && !q.missing(err) {
		return
	}
	if len(mxs) == 0 {
		addrs, err := q.names.LookupIPAddr(q.ctx, domain)
		if err == nil && len(addrs) > 0 {
			q.warn(key, "%s has no MX record, so mail is sent to its own address: add \"%[1]s. MX 10 %[2]s.\"", domain, q.Server.Hostname)
		} else if q.missing(err) || err == nil {
			q.fault(key, "%s has no MX record and no address, so no mail can come: add \"%[1]s. MX 10 %[2]s.\"", domain, q.Server.Hostname)
		}
		return
	}
	here := false
	for _, mx := range mxs {
		host := strings.TrimSuffix(address.FoldDomain(mx.Host), ".")
		if host == "" {
			q.fault(key, "%s has the null MX record, which says that it takes no mail: replace it by \"%[1]s. MX 10 %[2]s.\"", domain, q.Server.Hostname)
			return
		}
		addrs, err := q.names.LookupIPAddr(q.ctx, host)
		if q.missing(err) || err == nil && len(addrs) == 0 {
			q.fault(key, "the MX record of %s names %s, which has no address: correct the record, or add an A record", domain, host)
		}
		here = here || host == address.FoldDomain(q.Server.Hostname) || slices.ContainsFunc(addrs, q.isOwn)
	}
	if !here && !q.dead {
		q.warn(key, "no MX record of %s leads to this host, %s: mail comes only through other hosts", domain, q.Server.Hostname)
	}
}

func (q *query) isOwn(a net.IPAddr) bool {
	ip, ok := netip.AddrFromSlice(a.IP)
	return ok && slices.Contains(q.own, ip.Unmap())
}

// texts are the TXT records at a name that begin with a version; ok: they are known.
func (q *query) texts(name, version string) (found []string, ok bool) {
	all, err := q.names.LookupTXT(q.ctx, name)
	if err != nil && !q.missing(err) {
		return nil, false
	}
	for _, text := range all {
		// The version ends at a blank (SPF) or at a semicolon (DMARC).
		word, _, _ := strings.Cut(strings.ReplaceAll(text, ";", " "), " ")
		if strings.EqualFold(word, version) {
			found = append(found, text)
		}
	}
	return found, true
}

// senders looks at SPF: may this host send mail of a domain?
func (q *query) senders(domain string) {
	const key = "server.domains"
	records, ok := q.texts(domain, "v=spf1")
	if !ok {
		return
	}
	switch {
	case len(records) == 0:
		q.warn(key, "%s has no SPF record, so any host may send mail in its name: add a TXT record \"v=spf1 mx -all\"", domain)
		return
	case len(records) > 1:
		q.fault(key, "%s has %d SPF records, which counts as an error at every receiver (RFC 7208 section 4.5): put them into one", domain, len(records))
		return
	case slices.Contains(strings.Fields(records[0]), "+all") || slices.Contains(strings.Fields(records[0]), "all"):
		q.warn(key, "the SPF record of %s, %q, lets every host send mail in its name: end it with -all", domain, records[0])
		return
	}
	if q.Relay.Smarthost != "" {
		return // it has to be in the record, and only it knows its addresses
	}
	from := q.own
	if ip, err := netip.ParseAddr(q.Relay.Source); err == nil {
		from = []netip.Addr{ip}
	}
	for _, ip := range from {
		result, why := spf.CheckHostWithSender(ip.AsSlice(), q.Server.Hostname, "postmaster@"+domain, spf.WithResolver(q.names), spf.WithContext(q.ctx))
		if result != spf.Pass {
			q.fault(key, "by the SPF record of %s, %q, mail that this host sends from %s comes to %q (%v): add \"ip%s:%[3]s\" to the record", domain, records[0], ip, result, why, family(ip))
		}
	}
}

func family(ip netip.Addr) string {
	if ip.Is4() {
		return "4"
	}
	return "6"
}

// policy looks at DMARC, at the domain and at those above it.
func (q *query) policy(domain string) {
	const key = "server.domains"
	for at := domain; strings.Contains(at, "."); _, at, _ = strings.Cut(at, ".") {
		records, ok := q.texts("_dmarc."+at, "v=DMARC1")
		if !ok {
			return
		}
		switch {
		case len(records) > 1:
			q.fault(key, "_dmarc.%s has %d DMARC records, and receivers then act as if there were none (RFC 7489 section 6.6.3): leave one", at, len(records))
			return
		case len(records) == 1 && !strings.Contains(strings.ReplaceAll(strings.ToLower(records[0]), " ", ""), ";p="):
			q.fault(key, "the DMARC record of %s, %q, has no policy: add p=none, p=quarantine or p=reject after v=DMARC1", at, records[0])
			return
		case len(records) == 1:
			return
		}
	}
	q.warn(key, "%s has no DMARC record, and large receivers want one: add a TXT record at _dmarc.%[1]s, \"v=DMARC1; p=none; rua=mailto:postmaster@%[1]s\"", domain)
}

// keys compares the keys for DKIM with their records.
func (q *query) keys(domains []string) {
	all, err := dkim.List(q.DKIMDir())
	if err != nil {
		q.fault("server.data", "%v", err)
		return
	}
	active := dkim.Active(all)
	for _, d := range domains {
		if d = address.FoldDomain(d); d != "localhost" && !slices.ContainsFunc(active, func(k *dkim.Key) bool { return d == k.Domain || strings.HasSuffix(d, "."+k.Domain) }) {
			q.warn("server.domains", "mail of %s is not signed (DKIM): make a key with \"postrider dkim key %[1]s\" and publish the record that it prints", d)
		}
	}
	for _, k := range active {
		q.key(k)
	}
}

func (q *query) key(k *dkim.Key) {
	const name = "server.domains"
	texts, err := q.names.LookupTXT(q.ctx, k.Name())
	if err != nil && !q.missing(err) {
		return
	}
	want := tag(k.Value(), "p")
	switch {
	case len(texts) == 0:
		q.fault(name, "mail of %s is signed with the key %s, whose record is missing, so the signature fails everywhere: publish what \"postrider dkim list --records\" prints", k.Domain, k.Selector)
	case len(texts) > 1:
		q.fault(name, "%s has %d TXT records, and a key has one (RFC 6376 section 3.6.2.2): remove the others", k.Name(), len(texts))
	case tag(texts[0], "p") == "":
		q.fault(name, "the record %s has no key (p=), which means that it was revoked: publish what \"postrider dkim list --records\" prints", k.Name())
	case tag(texts[0], "p") != want:
		q.fault(name, "the record %s has another key than the file that signs: publish what \"postrider dkim list --records\" prints, or remove the file", k.Name())
	}
}

// tag is the value of a tag of a list such as "v=DKIM1; p=...", without blanks.
func tag(text, name string) string {
	for part := range strings.SplitSeq(text, ";") {
		if n, value, ok := strings.Cut(part, "="); ok && strings.TrimSpace(n) == name {
			return strings.Join(strings.Fields(value), "")
		}
	}
	return ""
}

// blocklists looks at whether the DNS lists answer: each has 127.0.0.2 for tests
// (RFC 5782 section 5).
func (q *query) blocklists() {
	for _, text := range q.Policy.Blocklists {
		l, err := policy.ParseBlocklist(text)
		if err != nil {
			continue
		}
		name := l.Question(netip.AddrFrom4([4]byte{127, 0, 0, 2}))
		answer, err := q.names.LookupAddrs(q.ctx, strings.TrimSuffix(name, "."), false)
		if q.missing(err) || err == nil && !l.Lists(answer) {
			said := "no answer"
			if len(answer) > 0 {
				said = fmt.Sprint(answer)
			}
			q.warn("policy.dnsbl", "%s does not list its test entry 127.0.0.2 (%s): the list is gone, or refuses the questions of a public name server; ask it through a name server of your own, or remove it", l.Zone, said)
		}
	}
}
