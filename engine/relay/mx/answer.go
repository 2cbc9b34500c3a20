package mx

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postrider/engine/edge/dns"
)

// Answer is where mail is to be tried.
type Answer struct {
	Hosts []Host   // in the order to try; each address once
	Notes []string // what was passed over and why, for people
	// Secure: DNSSEC vouches for these being the hosts of the domain, or the
	// configuration names the host.
	Secure bool
}

// Host is one address of a mail host.
type Host struct {
	Name       string         `json:"name"` // of the MX record, or of the next hop; an address for address literals
	Addr       netip.AddrPort `json:"addr"`
	Preference uint16         `json:"preference"` // of the MX record; 0 for hosts without one
	// Secure: DNSSEC vouches for the address.
	Secure bool `json:"dnssec,omitempty"`
}

// String is the host as the log has it: name[address]:port.
func (h Host) String() string {
	return fmt.Sprintf("%s[%s]:%d", h.Name, h.Addr.Addr(), h.Addr.Port())
}

// candidate is a mail host on its way into an Answer.
type candidate struct {
	dns.Exchange
	question string // the name as it is asked for; "" when nothing is to be asked
	addrs    []netip.Addr
	private  []netip.Addr // that the domain may not lead to: see mayBe
	secure   bool         // DNSSEC vouches for all of addrs
	fault    dns.Outcome  // what became of it, when it has no address: dns.NoData, dns.NoName, dns.Failed
}

// order puts the addresses of the candidates, which are sorted, into the order to
// try: host by host, and in each the IP versions by turns, so that a version that
// leads nowhere does not use up all tries.
func (s *search) order(all []candidate) []Host {
	n := 0
	for _, c := range all {
		n += len(c.addrs)
	}
	hosts := make([]Host, 0, n)
	has := make(map[netip.AddrPort]bool, n)
	for _, c := range all {
		s.shuffle(len(c.addrs), func(i, j int) { c.addrs[i], c.addrs[j] = c.addrs[j], c.addrs[i] })
		byTurns(c.addrs)
		for _, addr := range c.addrs {
			h := Host{c.Name, netip.AddrPortFrom(addr, s.port), c.Preference, c.secure}
			if !has[h.Addr] {
				has[h.Addr] = true
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// byTurns orders addresses 6, 4, 6, 4 and, when one version is used up, the rest.
func byTurns(addrs []netip.Addr) {
	var six, four []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for i := range addrs {
		if len(four) == 0 || len(six) > 0 && i%2 == 0 {
			addrs[i], six = six[0], six[1:]
		} else {
			addrs[i], four = four[0], four[1:]
		}
	}
}

// maxNotes is how many notes an answer has. Each address of each host could bring one.
const maxNotes = 50

// note says something for people, once.
func (s *search) note(format string, args ...any) {
	if len(s.answer.Notes) == maxNotes {
		return
	}
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.answer.Notes, text) {
		s.answer.Notes = append(s.answer.Notes, text)
	}
}

// undotted is a name for people.
func undotted(name string) string { return strings.TrimSuffix(name, ".") }

// isSingleLabel says whether a name has no dot in it: such names mean something only in
// the operator's own network.
func isSingleLabel(name string) bool { return !strings.Contains(undotted(name), ".") }
