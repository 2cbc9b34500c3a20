package mx

import (
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/mail/router"
)

var signedZone = []string{
	"example.org. 300 IN MX 10 mx.example.org.", "example.org. 300 IN MX 20 mx.else.example.",
	"mx.example.org. 300 IN A 192.0.2.1", "mx.else.example. 300 IN A 192.0.2.2",
	"alias.example.org. 300 IN CNAME mx.else.example.",
	"_25._tcp.mx.example.org. 300 IN TLSA 3 1 1 00ff",
	"_25._tcp.mx.else.example. 300 IN TLSA 3 1 1 00ff",
	`_mta-sts.example.org. 300 IN TXT "v=STSv1; " "id=1;"`,
	"plain.example. 300 IN MX 10 mx.example.org.",
}

// secured lists the hosts whose addresses are Secure, after "list" if the list is.
func (b *bench) secured(hop string) string {
	b.t.Helper()
	h, err := router.ParseHop(hop)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.Hosts(b.t.Context(), h)
	if err != nil {
		b.t.Fatal(err)
	}
	var words []string
	if answer.Secure {
		words = append(words, "list")
	}
	for _, host := range answer.Hosts {
		if host.Secure {
			words = append(words, host.Name)
		}
	}
	return strings.Join(words, " ")
}

// Only answers that a trusted server has validated are Secure, each list and address by
// itself.
func TestSecure(t *testing.T) {
	b := start(t, nil, signedZone...)
	b.dns.Vouch("example.org")
	for hop, want := range map[string]string{
		"example.org":           "list mx.example.org",
		"plain.example":         "mx.example.org",
		"[mx.example.org]":      "list mx.example.org",
		"[mx.else.example]":     "list",
		"[192.0.2.1]":           "list",
		"[alias.example.org]":   "list alias.example.org", // the server answers for all of the chain
		"mx.example.org":        "list mx.example.org",    // it says that there is no MX
		"mx.else.example":       "",
		"[alias.example.org]:2": "list alias.example.org",
	} {
		if got := b.secured(hop); got != want {
			t.Errorf("%s: %q, want %q", hop, got, want)
		}
	}
	// The second time they come from the cache.
	if got := b.secured("example.org"); got != "list mx.example.org" {
		t.Errorf("from the cache: %q", got)
	}
}

// An answer through an alias that takes two questions is Secure only if both answers are.
func TestSecureAlias(t *testing.T) {
	b := start(t, nil, signedZone...)
	b.dns.Vouch("example.org")
	b.dns.Behave("alias.example.org", miekg.TypeANY, dnstest.Behaviour{Partial: true})
	if got := b.secured("[alias.example.org]"); got != "list" {
		t.Errorf("got %q", got)
	}
}

func TestNothingIsSecureWithoutDNSSEC(t *testing.T) {
	b := start(t, func(o *settings) { o.DNSSEC = dns.DNSSECOff }, signedZone...)
	b.dns.Vouch(".")
	if got := b.secured("example.org"); got != "" {
		t.Errorf("got %q", got)
	}
}
