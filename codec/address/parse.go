package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// maxOctets is the most octets that a domain has (RFC 5321 section 4.5.3.1.2).
const maxOctets = 255

// ParseDomain checks and folds the name of a domain that an operator wrote: it comes
// back with A-labels, "xn--caf-dma.example" for "Café.example". A final dot is dropped.
func ParseDomain(text string) (string, error) {
	domain := FoldDomain(strings.TrimSuffix(strings.TrimSpace(text), "."))
	if domain == "" {
		return "", errors.New("the domain is empty")
	}
	if len(domain) > maxOctets {
		return "", fmt.Errorf("the domain %q is longer than %d octets", text, maxOctets)
	}
	if _, err := netip.ParseAddr(domain); err == nil || domain[0] == '[' {
		return "", fmt.Errorf("%q is an IP address, not a domain", text)
	}
	if !utf8.ValidString(domain) {
		return "", fmt.Errorf("the domain %q is not UTF-8", text)
	}
	if !IsDNS(domain) {
		return "", fmt.Errorf("the domain %q can't be written with A-labels, as DNS has it: a character is not allowed in domains (IDNA), or a label is too long", text)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("%q is not a domain: between its dots are 1 to 63 letters, digits and hyphens, no hyphen first or last", text)
		}
	}
	return domain, nil
}

// isLabel follows RFC 1123 section 2.1, with "_" as it is found in test networks.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
