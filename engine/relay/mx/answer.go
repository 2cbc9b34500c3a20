package mx

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postrider/engine/edge/dns"
)

// Answer has the hosts to try.
type Answer struct {
	Hosts []Host   // in the order to try; each address once
	Notes []string // what was skipped and why, for the operator
	// Secure means that DNSSEC has validated the list of hosts, or that the configuration
	// names the host.
	Secure bool
}

// Host is one address of a mail host.
type Host struct {
	Name       string         `json:"name"` // from the MX record or the next hop; for an address literal the address
	Addr       netip.AddrPort `json:"addr"`
	Preference uint16         `json:"preference"` // from the MX record; 0 without one
	// Secure means that DNSSEC has validated the address.
	Secure bool `json:"dnssec,omitempty"`
}

// String returns the host as in the log: name[address]:port.
func (h Host) String() string {
	return fmt.Sprintf("%s[%s]:%d", h.Name, h.Addr.Addr(), h.Addr.Port())
}

// candidate is a mail host on its way into an Answer.
type candidate struct {
	dns.Exchange
	question string // the name to look up; "" if addrs is known
	addrs    []netip.Addr
	private  []netip.Addr // addresses that were skipped: see isAllowed
	secure   bool         // DNSSEC has validated addrs
	fault    dns.Outcome  // why there is no address: dns.NoData, dns.NoName, dns.Failed
}

// order puts the addresses of sorted candidates into the order to try: host by host, and for
// each host the IP versions in turn, so that a version that does not work does not use up
// all tries.
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

// maxNotes bounds the notes in an answer. Each address of each host could add one.
const maxNotes = 50

// note adds a note for the operator, once.
func (s *search) note(format string, args ...any) {
	if len(s.answer.Notes) == maxNotes {
		return
	}
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(s.answer.Notes, text) {
		s.answer.Notes = append(s.answer.Notes, text)
	}
}

// undotted removes the final dot.
func undotted(name string) string { return strings.TrimSuffix(name, ".") }

// isSingleLabel reports whether a name has no dot in it. Such names exist only in the
// operator's own network.
func isSingleLabel(name string) bool { return !strings.Contains(undotted(name), ".") }
