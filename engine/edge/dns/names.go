package dns

import (
	miekg "github.com/miekg/dns"
	"golang.org/x/net/idna"

	"postrider/codec/address"
)

// FQDN writes a domain as DNS has it: lower case, U-labels as A-labels (RFC
// 5890), with the final dot. ok is false for what can't be a domain; nothing is
// asked then.
func FQDN(domain string) (name string, ok bool) {
	domain, err := address.ParseDomain(domain)
	if err != nil {
		return "", false
	}
	if domain, ok = ALabels(domain); !ok {
		return "", false
	}
	name = miekg.Fqdn(domain)
	if _, ok := miekg.IsDomainName(name); !ok {
		return "", false
	}
	return name, true
}

// ALabels writes the U-labels of a domain as A-labels (RFC 5890). ok is false for what
// can't be a domain.
func ALabels(domain string) (ascii string, ok bool) {
	// Not for ASCII: IDNA forbids names that DNS has, such as those with "_".
	if isASCII(domain) {
		return domain, true
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	return ascii, err == nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
