package tlspolicy

import (
	"fmt"
	"strings"

	"postrider/codec/address"
)

// Level is what is demanded of the connections to a destination; see the package
// doc. Each demands what the levels before it do.
type Level uint8

// The levels.
const (
	None Level = iota
	May
	Encrypt
	Verify
	DANE
)

var levels = [...]string{None: "none", May: "may", Encrypt: "encrypt", Verify: "verify", DANE: "dane"}

// String is the level as ParseLevel reads it.
func (l Level) String() string { return levels[l] }

// ParseLevel reads the word for a level.
func ParseLevel(s string) (Level, error) {
	for l, word := range levels {
		if s == word {
			return Level(l), nil
		}
	}
	return None, fmt.Errorf("unknown level %q: expected none, may, encrypt, verify or dane", s)
}

// Rules are the levels of destinations. They never change.
type Rules struct {
	standard Level
	of       map[string]Level // by domain, by next hop, or by "." and a domain for its subdomains
}

// NewRules makes rules of a level for all, and of lines "DESTINATION LEVEL" for
// some. Of two lines for one destination the first counts.
func NewRules(standard Level, lines []string) (*Rules, error) {
	r := &Rules{standard, make(map[string]Level)}
	for _, line := range lines {
		to, level, err := ParseRule(line)
		if err != nil {
			return nil, err
		}
		if _, has := r.of[to]; !has {
			r.of[to] = level
		}
	}
	return r, nil
}

// ParseRule reads "DESTINATION LEVEL": a domain, or a next hop as relay.transports
// has it; ".DOMAIN" means the domains under it.
func ParseRule(line string) (to string, level Level, err error) {
	words := strings.Fields(line)
	if len(words) != 2 {
		return "", None, fmt.Errorf("%q: expected a destination and a level, for example \"example.org encrypt\"", line)
	}
	level, err = ParseLevel(words[1])
	return foldDestination(words[0]), level, err
}

// foldDestination folds DOMAIN, .DOMAIN, [HOST] or either of the latter with a port.
func foldDestination(to string) string {
	start, end := 0, ":"
	switch to[0] {
	case '.':
		start = 1
	case '[':
		start, end = 1, "]"
	}
	host, rest := to[start:], ""
	if i := strings.Index(host, end); i >= 0 {
		host, rest = host[:i], host[i:]
	}
	return to[:start] + address.FoldDomain(host) + rest
}

// Level is what is demanded of a next hop: by the whole of it, such as
// "[smtp.example.org]:587", by its host alone, by what is above its host, or the
// level for all. rule names what it was found by.
func (r *Rules) Level(hop, host string) (level Level, rule string) {
	for _, key := range []string{strings.ToLower(hop), strings.ToLower(host)} {
		if level, ok := r.of[key]; ok {
			return level, "relay.tls"
		}
	}
	for rest := strings.ToLower(host); ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return r.standard, "relay.tls_default"
		}
		if level, ok := r.of[rest[dot:]]; ok {
			return level, "relay.tls"
		}
		rest = rest[dot+1:]
	}
}
