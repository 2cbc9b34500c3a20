package mx

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"

	"postrider/engine/edge/dns"
)

// search is the state of one call of Hosts.
type search struct {
	*rules
	names  *dns.Resolver
	ctx    context.Context
	port   uint16
	chosen bool // the operator named the next hop
	answer Answer
}

// maxExchangers bounds the mail hosts whose addresses are looked up at once: first the hosts
// with the best preference, and the next ones if none of these has an address. In all there
// are at most the 100 that package dns keeps.
const maxExchangers = 20

// byMX finds a domain's mail hosts (RFC 5321 section 5.1).
func (s *search) byMX(domain string) *Error {
	name, ok := dns.FQDN(domain)
	if !ok {
		return nameError(ErrNoDomain, "5.1.2", domain, "MX", malformed)
	}
	// A name without a dot may be in the hosts file, which comes before DNS.
	if isSingleLabel(name) {
		if addrs, file := s.names.InHostsFile(name); addrs != nil {
			return s.finish(domain, []candidate{s.fromFile(name, file, addrs)})
		}
	}
	mx := s.names.Ask(s.ctx, name, dns.TypeMX)
	s.answer.Secure = mx.Secure
	switch mx.Outcome {
	case dns.Failed:
		s.note("%s: %s", undotted(name), mx.Why)
		return nameError(ErrTemporary, "4.4.3", domain, "MX", tryAgain)
	case dns.NoName:
		return nameError(ErrNoDomain, "5.1.2", domain, "MX", notFound)
	case dns.NoData:
		s.note("%s has no MX record: its own addresses are used", undotted(name))
		return s.finish(domain, []candidate{{Exchange: dns.Exchange{Name: undotted(name)}, question: name}})
	}
	all, null := s.exchangers(mx.MX)
	if len(all) == 0 && null {
		return nullMX(domain)
	}
	failure := s.finish(domain, all)
	if failure != nil && failure.Permanent && mx.Cut && failure.Cause != ErrLoop {
		return nameError(ErrTemporary, "4.4.3", domain, "MX", tooMany) // a host that was left out may take the mail
	}
	return failure
}

// exchangers makes candidates from MX records, sorted by preference, in random order where
// preferences are equal.
func (s *search) exchangers(mx []dns.Exchange) (all []candidate, null bool) {
	for _, x := range mx {
		if x.Name == "" {
			null = true
			continue
		}
		name, ok := dns.FQDN(x.Name)
		if !ok {
			s.note("MX %s is not a host name: skipped", x.Name)
			continue
		}
		all = append(all, candidate{Exchange: x, question: name})
	}
	s.shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.Preference, b.Preference) })
	return all, null
}

// byHost finds the addresses of one host, which may be an address already.
func (s *search) byHost(host string) *Error {
	s.answer.Secure = true
	if addr, err := netip.ParseAddr(host); err == nil {
		c := candidate{Exchange: dns.Exchange{Name: host}, addrs: []netip.Addr{addr.Unmap()}}
		return s.finish(host, []candidate{c})
	}
	name, ok := dns.FQDN(host)
	if !ok {
		return nameError(ErrNoDomain, "5.1.2", host, s.typeName(), malformed)
	}
	c := candidate{Exchange: dns.Exchange{Name: undotted(name)}, question: name}
	if addrs, file := s.names.InHostsFile(name); addrs != nil {
		c = s.fromFile(name, file, addrs)
	}
	return s.finish(host, []candidate{c})
}

// fromFile makes a candidate from /etc/hosts.
func (s *search) fromFile(name, file string, addrs []netip.Addr) candidate {
	s.note("%s is in %s", undotted(name), file)
	c := candidate{Exchange: dns.Exchange{Name: undotted(name)}, fault: dns.NoData}
	for _, addr := range addrs {
		qtype := dns.TypeAAAA
		if addr.Is4() {
			qtype = dns.TypeA
		}
		if slices.Contains(s.types, qtype) {
			c.addrs = append(c.addrs, addr)
		}
	}
	return c
}

// finish removes this host and all worse candidates, looks up the addresses of the rest, and
// fills in the answer.
func (s *search) finish(domain string, all []candidate) *Error {
	left := s.withoutUs(all, s.isOurName)
	var met []candidate // the candidates so far; only the last ones may have addresses
	for len(left) > 0 {
		next := left[:min(len(left), maxExchangers)]
		left = left[len(next):]
		s.ask(next)
		before := len(met) + len(next)
		met = s.withoutUs(append(met, next...), s.isOurAddress)
		if len(met) < before {
			left = nil
		}
		if s.answer.Hosts = s.order(met); len(s.answer.Hosts) > 0 {
			if len(left) > 0 {
				s.note("of %d mail hosts the %d with the best preference are used", len(all), before)
			}
			return nil
		}
		if len(left) > 0 {
			s.note("none of the %d best mail hosts has an address: the next ones are used", before)
		}
	}
	if len(met) == 0 && len(all) > 0 {
		return loop(domain)
	}
	return s.noAddress(domain, met)
}

// withoutUs removes this host and all hosts that are not better: they would only send the
// mail back here (RFC 5321 section 5.1).
func (s *search) withoutUs(all []candidate, isUs func(candidate) bool) []candidate {
	at := slices.IndexFunc(all, isUs)
	if at < 0 {
		return all
	}
	s.note("%s, preference %d, is this host: hosts with this preference and above are left out", all[at].Name, all[at].Preference)
	for at > 0 && all[at-1].Preference == all[at].Preference {
		at--
	}
	return all[:at]
}

func (s *search) isOurName(c candidate) bool {
	return s.port == s.rules.port && c.question != "" && s.ownNames[c.question]
}

func (s *search) isOurAddress(c candidate) bool {
	return slices.ContainsFunc(c.addrs, func(a netip.Addr) bool { return s.isOwn(netip.AddrPortFrom(a, s.port)) })
}

// ask looks up the addresses of all candidates at once, and keeps the addresses that are
// allowed.
func (s *search) ask(all []candidate) {
	answers := make([]*dns.Records, len(all)*len(s.types))
	var running sync.WaitGroup
	for i, c := range all {
		for j, qtype := range s.types {
			if c.question == "" {
				continue
			}
			name, at := c.question, i*len(s.types)+j
			if answers[at] = s.names.Cached(name, qtype); answers[at] == nil {
				running.Go(func() { answers[at] = s.names.Ask(s.ctx, name, qtype) })
			}
		}
	}
	running.Wait()
	for i := range all {
		if all[i].question != "" {
			s.take(&all[i], answers[i*len(s.types):][:len(s.types)])
		}
		all[i].addrs = slices.DeleteFunc(all[i].addrs, func(a netip.Addr) bool {
			switch {
			case !isOfHost(a):
				s.note("%s has the address %s, which no host can have: skipped", all[i].Name, a)
				return true
			case s.chosen || s.isAllowed(a) || s.isOwn(netip.AddrPortFrom(a, s.port)): // this host: see withoutUs
				return false
			}
			s.note("%s has the address %s, which is private or local and not in relay.private_networks: skipped", all[i].Name, a)
			all[i].private = append(all[i].private, a)
			return true
		})
	}
}

// take joins the answers about a host.
func (s *search) take(c *candidate, answers []*dns.Records) {
	c.fault, c.secure = dns.NoName, true
	for i, rec := range answers {
		c.addrs = append(c.addrs, rec.Addrs...)
		c.secure = c.secure && (rec.Secure || len(rec.Addrs) == 0)
		switch rec.Outcome {
		case dns.Failed:
			c.fault = dns.Failed
			s.note("%s type=%s: %s", c.Name, dns.TypeName(s.types[i]), rec.Why)
		case dns.NoData, dns.Found:
			if c.fault == dns.NoName {
				c.fault = dns.NoData
			}
		}
	}
	c.secure = c.secure && len(c.addrs) > 0
	if len(c.addrs) == 0 && c.fault != dns.Failed {
		s.note("%s has no address: skipped", c.Name)
	}
}

// isOfHost reports whether a host can have an address. It can't be multicast, broadcast or
// another address for this machine, such as 0.0.0.0.
func isOfHost(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.Is4In6() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && (a.Zone() != "" || !a.IsLinkLocalUnicast() || a.Is4())
}

// noAddress is the error for candidates without an address. It is temporary if the lookup
// for one of them has failed.
func (s *search) noAddress(domain string, all []candidate) *Error {
	for _, c := range all {
		if c.fault == dns.Failed {
			return nameError(ErrTemporary, "4.4.3", c.Name, s.typeName(), tryAgain)
		}
	}
	for _, c := range all {
		if len(c.private) > 0 {
			return private(domain, c.Name, c.private[0])
		}
	}
	if len(all) == 0 {
		return nameError(ErrNoAddress, "5.4.4", domain, "MX", unexpected)
	}
	what := noRecord
	if all[0].fault == dns.NoName {
		what = notFound
	}
	return nameError(ErrNoAddress, "5.4.4", all[0].Name, s.typeName(), what)
}

// typeName is the record type that an error names.
func (s *search) typeName() string { return dns.TypeName(s.types[0]) }
