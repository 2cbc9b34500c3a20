package dns

import (
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
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

// The AD bit counts from trusted servers only.
func TestBelieved(t *testing.T) {
	f := func(mode DNSSEC, addr string, want bool) {
		t.Helper()
		s := servers{dnssec: mode}
		if got := s.trusts(addr); got != want {
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
}

func TestValidates(t *testing.T) {
	f := func(mode DNSSEC, vouch bool, want bool, words string) {
		t.Helper()
		b := start(t, func(o *Options) { o.DNSSEC = mode }, ". 300 IN SOA ns. root. 1 1 1 1 42")
		if vouch {
			b.dns.Vouch(".")
		}
		if got, why := b.Validates(t.Context()); got != want || !strings.Contains(why, words) {
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
	f := func(host string, records int, fails bool) {
		t.Helper()
		got, err := b.TLSA(t.Context(), host, 25)
		if (err != nil) != fails || len(got) != records {
			t.Errorf("%s: %v %v", host, err, got)
		}
	}
	f("mx.example.org", 1, false)
	f("mx.else.example", 0, false) // no signature
	f("none.example.org", 0, false)
	f("192.0.2.1", 0, false)
	b.dns.Behave("_25._tcp.fails.example.org", miekg.TypeTLSA, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	f("fails.example.org", 0, true)
	got, _ := b.TLSA(t.Context(), "mx.example.org", 25)
	if len(got) == 1 && (got[0].Usage != 3 || got[0].Selector != 1 || got[0].Matching != 1 || string(got[0].Data) != "\x00\xff") {
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
	b.dns.Behave("_mta-sts.fails.example", miekg.TypeTXT, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	if _, err := b.TXT(t.Context(), "_mta-sts", "fails.example"); err == nil {
		t.Error("no error")
	}
}

// An answer through an alias that takes two questions is Secure only if both answers are.
func TestSecureAlias(t *testing.T) {
	records := []string{"a.signed.example. 300 IN CNAME b.plain.example.", "b.plain.example. 300 IN A 192.0.2.1",
		"c.plain.example. 300 IN CNAME d.signed.example.", "d.signed.example. 300 IN A 192.0.2.2", "e.signed.example. 300 IN CNAME d.signed.example."}
	b := start(t, nil, records...)
	b.dns.Vouch("signed.example")
	for name, want := range map[string]bool{"a.signed.example.": false, "b.plain.example.": false, "c.plain.example.": false, "d.signed.example.": true, "e.signed.example.": true} {
		b.dns.Behave(name, miekg.TypeANY, dnstest.Behaviour{Partial: true})
		if rec := b.Ask(t.Context(), name, TypeA); rec.Outcome != Found || rec.Secure != want {
			t.Errorf("%s: %+v, want secure %v", name, rec, want)
		}
	}
}
