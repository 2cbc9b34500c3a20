package dns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/engine/dns/dnstest"
	"postrider/engine/router"
	"postrider/engine/tlspolicy"
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

// secured is which hosts of a domain DNSSEC vouches for, and whether for the list.
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

// Only what a server vouches for that is believed is secure, each thing by itself.
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

// An alias whose other end is asked for apart is as secure as its weaker half.
func TestSecureAlias(t *testing.T) {
	b := start(t, nil, signedZone...)
	b.dns.Vouch("example.org")
	b.dns.Behave("alias.example.org", dns.TypeANY, dnstest.Behaviour{Partial: true})
	if got := b.secured("[alias.example.org]"); got != "list" {
		t.Errorf("got %q", got)
	}
}

// The AD bit is worth what the way to the server is.
func TestBelieved(t *testing.T) {
	f := func(mode DNSSEC, addr string, want bool) {
		t.Helper()
		s := servers{dnssec: mode}
		if got := s.believes(addr); got != want {
			t.Errorf("%s %q: %t", addr, mode, got)
		}
	}
	f("", "127.0.0.1:53", true)
	f(DNSSECAuto, "[::1]:53", true)
	f(DNSSECAuto, "127.0.0.53:53", true)
	f(DNSSECAuto, "127.0.0.11:53", false)
	f(DNSSECAuto, "192.0.2.1:53", false)
	f(DNSSECAuto, "localhost.example:53", false)
	f(DNSSECOn, "192.0.2.1:53", true)
	f(DNSSECOff, "127.0.0.1:53", false)

	b := start(t, func(o *Options) { o.DNSSEC = DNSSECOff }, signedZone...)
	b.dns.Vouch(".")
	if got := b.secured("example.org"); got != "" {
		t.Errorf("off: %q", got)
	}
}

func TestVouches(t *testing.T) {
	f := func(mode DNSSEC, vouch bool, want bool, words string) {
		t.Helper()
		b := start(t, func(o *Options) { o.DNSSEC = mode }, ". 300 IN SOA ns. root. 1 1 1 1 42")
		if vouch {
			b.dns.Vouch(".")
		}
		if got, why := b.Vouches(t.Context()); got != want || !strings.Contains(why, words) {
			t.Errorf("%q: %t, %s", mode, got, why)
		}
	}
	f(DNSSECAuto, true, true, "checks signatures")
	f(DNSSECAuto, false, false, "does not check signatures")
	f(DNSSECOff, true, false, "relay.dnssec")
}

func TestTLSA(t *testing.T) {
	b := start(t, nil, signedZone...)
	b.dns.Vouch("example.org")
	f := func(host string, want tlspolicy.Lookup, records int) {
		t.Helper()
		got, lookup := b.TLSA(t.Context(), host, 25)
		if lookup != want || len(got) != records {
			t.Errorf("%s: %v %v", host, lookup, got)
		}
	}
	f("mx.example.org", tlspolicy.LookupFound, 1)
	f("mx.else.example", tlspolicy.LookupNone, 0) // nobody vouches
	f("none.example.org", tlspolicy.LookupNone, 0)
	f("192.0.2.1", tlspolicy.LookupNone, 0)
	b.dns.Behave("_25._tcp.fails.example.org", dns.TypeTLSA, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	f("fails.example.org", tlspolicy.LookupFailed, 0)
	got, _ := b.TLSA(t.Context(), "mx.example.org", 25)
	if len(got) == 1 && (got[0].String() != "DANE-EE 3 1 1" || string(got[0].Data) != "\x00\xff") {
		t.Errorf("%v %x", got[0], got[0].Data)
	}
}

func TestTXT(t *testing.T) {
	b := start(t, nil, signedZone...)
	if got, err := b.TXT(t.Context(), "_mta-sts", "example.org"); err != nil || len(got) != 1 || got[0] != "v=STSv1; id=1;" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := b.TXT(t.Context(), "_mta-sts", "no.example"); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	b.dns.Behave("_mta-sts.fails.example", dns.TypeTXT, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	if _, err := b.TXT(t.Context(), "_mta-sts", "fails.example"); err == nil {
		t.Error("no error")
	}
}
