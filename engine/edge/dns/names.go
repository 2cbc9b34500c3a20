package dns

import (
	miekg "github.com/miekg/dns"
	"golang.org/x/net/idna"

	"postrider/codec/address"
)

// FQDN writes a domain as in DNS: lower case, U-labels as A-labels (RFC 5890), with the final
// dot. ok is false if it can't be a domain.
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

// ALabels writes a domain's U-labels as A-labels (RFC 5890). ok is false if it can't be a
// domain.
func ALabels(domain string) (ascii string, ok bool) {
	// ASCII names skip IDNA, which forbids names that are in DNS, such as "_dmarc.example.org".
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
