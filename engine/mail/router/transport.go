package router

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"postrider/codec/address"
)

// HopKind is how the hosts of a next hop are found.
type HopKind uint8

// The kinds of next hop.
const (
	ByMX     HopKind = iota // the MX hosts of Hop.Host, or its addresses when it has none (RFC 5321 section 5.1)
	ByHost                  // the addresses of Hop.Host; MX is not asked
	Refused                 // nowhere: the mail is returned with Hop.Text
	Maildrop                // a domain of ours
)

// Hop is the next hop of a piece of mail. Two pieces of mail with equal hops may
// share a connection.
type Hop struct {
	Kind HopKind
	Host string // folded, without brackets; an IP address as it is
	Port uint16 // 0: that of SMTP
	Text string // with Refused
}

// String writes the hop as ParseHop reads it; a hop by MX of a recipient's own
// domain is that domain.
func (h Hop) String() string {
	switch h.Kind {
	case Refused:
		return "error:" + h.Text
	case Maildrop:
		return "local"
	}
	s := h.Host
	if h.Kind == ByHost {
		s = "[" + s + "]"
	}
	if h.Port != 0 {
		s += ":" + strconv.Itoa(int(h.Port))
	}
	return s
}

var errHop = errors.New("a next hop is HOST, HOST:PORT, [HOST] or [HOST]:PORT (brackets: no MX lookup), mx, or error:TEXT")

// ParseHop reads a next hop as an operator writes it. "mx", by MX of the
// recipient's domain, comes back with an empty Host.
func ParseHop(s string) (Hop, error) {
	s = strings.TrimSpace(s)
	if text, ok := strings.CutPrefix(s, "error:"); ok {
		return Hop{Kind: Refused, Text: text}, nil
	}
	if s == "mx" {
		return Hop{}, nil
	}
	h := Hop{Host: s}
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, closed := strings.Cut(rest, "]")
		if !closed || port != "" && port[0] != ':' {
			return h, fmt.Errorf("%q: %w", s, errHop)
		}
		h.Kind, h.Host = ByHost, host
		return h.withPort(port, s)
	}
	if at := strings.IndexByte(s, ':'); at >= 0 {
		h.Host = s[:at]
		return h.withPort(s[at:], s)
	}
	return h.withPort("", s)
}

// withPort puts the port in, ":PORT" or nothing, and checks the host.
func (h Hop) withPort(port, whole string) (Hop, error) {
	h.Host = address.FoldDomain(strings.TrimSuffix(h.Host, "."))
	if port != "" {
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil || n == 0 {
			return h, fmt.Errorf("%q: the port is not a number from 1 to 65535", whole)
		}
		h.Port = uint16(n)
	}
	if h.Kind == ByHost {
		if _, err := netip.ParseAddr(h.Host); err == nil {
			return h, nil
		}
	}
	if _, err := address.ParseDomain(h.Host); err != nil {
		return h, fmt.Errorf("%q: %w", whole, errHop)
	}
	return h, nil
}

// Transports are the rules for mail that leaves: by destination, by sender, then
// the smarthost, then MX. The first rule that fits counts. It never changes and is
// safe for use by many goroutines.
type Transports struct {
	smarthost *Hop
	exact     map[string]Hop // by domain
	suffixes  []transportRule
	senders   map[string]Hop // by address or @domain
	named     map[Hop]bool   // hops named in the rules
}

type transportRule struct {
	suffix string // ".example.org"
	hop    Hop
}

// NewTransports reads the rules: smarthost as ParseHop has it or "", transports
// DOMAIN=NEXTHOP or .DOMAIN=NEXTHOP, senders ADDRESS=NEXTHOP or @DOMAIN=NEXTHOP.
func NewTransports(smarthost string, transports, senders []string) (*Transports, error) {
	t := &Transports{exact: make(map[string]Hop), senders: make(map[string]Hop), named: make(map[Hop]bool)}
	if smarthost != "" {
		h, err := ParseHop(smarthost)
		if err != nil {
			return nil, err
		}
		t.smarthost = &h
	}
	for _, rule := range transports {
		pattern, hop, err := parseRule(rule)
		if err != nil {
			return nil, err
		}
		t.named[hop] = true
		if strings.HasPrefix(pattern, ".") {
			t.suffixes = append(t.suffixes, transportRule{pattern, hop})
		} else if _, has := t.exact[pattern]; !has {
			t.exact[pattern] = hop
		}
	}
	for _, rule := range senders {
		pattern, hop, err := parseRule(rule)
		if err != nil {
			return nil, err
		}
		t.named[hop] = true
		if _, has := t.senders[pattern]; !has {
			t.senders[pattern] = hop
		}
	}
	return t, nil
}

func parseRule(rule string) (pattern string, hop Hop, err error) {
	pattern, text, ok := strings.Cut(rule, "=")
	pattern = foldPattern(strings.TrimSpace(pattern))
	if !ok || pattern == "" {
		return "", hop, fmt.Errorf("%q: expected PATTERN=NEXTHOP", rule)
	}
	hop, err = ParseHop(text)
	return pattern, hop, err
}

// foldPattern folds DOMAIN, .DOMAIN, ADDRESS or @DOMAIN.
func foldPattern(pattern string) string {
	if strings.Contains(pattern, "@") {
		return address.Fold(pattern)
	}
	if under, ok := strings.CutPrefix(pattern, "."); ok {
		return "." + address.FoldDomain(under)
	}
	return address.FoldDomain(pattern)
}

// NextHop decides where mail for domain, folded, from the reverse-path
// sender goes. rule describes the rule that decided it, for people.
func (t *Transports) NextHop(domain, sender string) (hop Hop, rule string) {
	if h, ok := t.exact[domain]; ok {
		return h.of(domain), "transport of " + domain
	}
	for _, r := range t.suffixes {
		if strings.HasSuffix(domain, r.suffix) {
			return r.hop.of(domain), "transport of " + r.suffix
		}
	}
	if len(t.senders) > 0 && sender != "" {
		sender = address.Fold(sender)
		if h, ok := t.senders[sender]; ok {
			return h.of(domain), "transport of sender " + sender
		}
		if at := strings.LastIndexByte(sender, '@'); at >= 0 {
			if h, ok := t.senders[sender[at:]]; ok {
				return h.of(domain), "transport of sender " + sender[at:]
			}
		}
	}
	if t.smarthost != nil {
		return t.smarthost.of(domain), "smarthost"
	}
	return Hop{}.of(domain), "MX"
}

// Names reports whether an operator named a next hop: the recipient's domain did not
// choose it.
func (t *Transports) Names(h Hop) bool {
	return t.named[h] || t.smarthost != nil && *t.smarthost == h
}

// BySender reports whether mail of one destination may have different next hops.
func (t *Transports) BySender() bool { return len(t.senders) > 0 }

// of fills in the recipient's domain where the rule has no host. Mail for an
// address literal goes to that address (RFC 5321 section 4.1.3).
func (h Hop) of(domain string) Hop {
	if h.Kind != ByMX || h.Host != "" {
		return h
	}
	h.Host = domain
	if text, ok := strings.CutPrefix(domain, "["); ok {
		text = strings.TrimPrefix(strings.TrimSuffix(text, "]"), "ipv6:")
		h.Kind, h.Host = ByHost, text
	}
	return h
}
