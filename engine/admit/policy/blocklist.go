package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Blocklist is a list of addresses in DNS (RFC 5782), with what it weighs.
type Blocklist struct {
	Zone  string       // without a final dot
	Score int          // added when the address is on it; negative for lists of the good
	Codes []netip.Addr // answers that count; none: all
}

// ParseBlocklist reads "ZONE", or "ZONE score=N codes=127.0.0.2,127.0.0.3".
func ParseBlocklist(s string) (l Blocklist, err error) {
	words := strings.Fields(s)
	if len(words) == 0 || strings.ContainsAny(words[0], "=/@:") {
		return l, errors.New("expected the zone of a list first, such as bl.example.org")
	}
	l = Blocklist{Zone: strings.ToLower(strings.TrimSuffix(words[0], ".")), Score: 1}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "score":
			if l.Score, err = strconv.Atoi(value); err != nil || l.Score == 0 {
				return l, fmt.Errorf("%q: expected a number other than 0 after the =", w)
			}
		case "codes":
			for code := range strings.SplitSeq(value, ",") {
				a, err := netip.ParseAddr(code)
				if err != nil || !a.Is4() {
					return l, fmt.Errorf("%q: %q is not an IPv4 address", w, code)
				}
				l.Codes = append(l.Codes, a)
			}
		default:
			return l, fmt.Errorf("%q is neither score=N nor codes=ADDRESSES", w)
		}
	}
	return l, nil
}

// Question is the name to ask for: the address backwards, in front of the zone.
func (l *Blocklist) Question(ip netip.Addr) string { return Backwards(ip) + l.Zone }

// Backwards writes an address as the reverse trees of DNS have it: "1.2.0.192.", and
// an IPv6 address digit by digit.
func Backwards(ip netip.Addr) string {
	b := ip.Unmap().AsSlice()
	slices.Reverse(b)
	var s strings.Builder
	for _, octet := range b {
		if len(b) == 4 {
			s.WriteString(strconv.Itoa(int(octet)) + ".")
			continue
		}
		const digits = "0123456789abcdef"
		s.Write([]byte{digits[octet&15], '.', digits[octet>>4], '.'})
	}
	return s.String()
}

var (
	answers   = netip.MustParsePrefix("127.0.0.0/8")
	noAnswers = netip.MustParsePrefix("127.255.255.0/24")
)

// Lists reports whether an answer means that the address is on the list. An answer
// outside 127.0.0.0/8 is a search page in the place of a list that was closed.
func (l *Blocklist) Lists(answer []netip.Addr) bool {
	return slices.ContainsFunc(answer, func(a netip.Addr) bool {
		if !answers.Contains(a) || noAnswers.Contains(a) {
			return false
		}
		return len(l.Codes) == 0 || slices.Contains(l.Codes, a)
	})
}

// Score sums up the lists that an address is on; the names are the lists that
// count against it, the heaviest first.
func Score(on []Blocklist) (sum int, against []string) {
	on = slices.Clone(on)
	slices.SortStableFunc(on, func(a, b Blocklist) int { return b.Score - a.Score })
	for _, l := range on {
		sum += l.Score
		if l.Score > 0 {
			against = append(against, l.Zone)
		}
	}
	return sum, against
}
