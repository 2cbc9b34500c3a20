package dns

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

func TestLookups(t *testing.T) {
	server := dnstest.Start(t,
		`_dmarc.example.org. 60 IN TXT "v=DMARC1; " "p=reject"`,
		`octets.example.org. 60 IN TXT "a\"b\\c\200"`,
		"example.org. 60 IN MX 10 mx.example.org.",
		"mx.example.org. 60 IN A 192.0.2.1",
		"mx.example.org. 60 IN AAAA 2001:db8::1",
		"four.example.org. 60 IN A 192.0.2.4",
		"alias.example.org. 60 IN CNAME four.example.org.",
		"1.2.0.192.in-addr.arpa. 60 IN PTR MX.example.org.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR mx.example.org.",
		"2.2.0.192.in-addr.arpa. 60 IN CNAME 2.sub.2.0.192.in-addr.arpa.",
		"2.sub.2.0.192.in-addr.arpa. 60 IN PTR classless.example.org.")
	server.Behave("broken.example.org", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	r := New(Options{Servers: []string{server.Addr()}, Timeout: 5 * time.Second, Attempts: 1})
	ctx := context.Background()

	f := func(got []string, err error, want ...string) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	texts, err := r.LookupTXT(ctx, "_dmarc.example.org")
	f(texts, err, "v=DMARC1; p=reject")
	texts, err = r.LookupTXT(ctx, "octets.example.org.")
	f(texts, err, "a\"b\\c\xc8")
	names, err := r.LookupAddr(ctx, "192.0.2.1")
	f(names, err, "mx.example.org.")
	names, err = r.LookupAddr(ctx, "2001:db8::1")
	f(names, err, "mx.example.org.")
	names, err = r.LookupAddr(ctx, "192.0.2.2")
	f(names, err, "classless.example.org.")

	if mx, err := r.LookupMX(ctx, "example.org"); err != nil || len(mx) != 1 || mx[0].Host != "mx.example.org" || mx[0].Pref != 10 {
		t.Errorf("%v, %v", mx, err)
	}
	h := func(host string, want ...string) {
		t.Helper()
		ips, err := r.LookupIPAddr(ctx, host)
		var got []string
		for _, ip := range ips {
			got = append(got, ip.String())
		}
		f(got, err, want...)
	}
	h("mx.example.org", "192.0.2.1", "2001:db8::1")
	h("alias.example.org", "192.0.2.4")

	before := server.Questions()
	if _, err := r.LookupTXT(ctx, "_DMARC.example.org"); err != nil || server.Questions() != before {
		t.Errorf("asked again what is in the cache, or %v", err)
	}
}

func TestLookupErrors(t *testing.T) {
	server := dnstest.Start(t, "example.org. 60 IN A 192.0.2.1")
	server.Behave("broken.example.org", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	server.Behave("silent.example.org", miekg.TypeANY, dnstest.Behaviour{Silent: true})
	r := New(Options{Servers: []string{server.Addr()}, Timeout: 5 * time.Second, Attempts: 1})
	ctx := context.Background()
	f := func(err error, temporary, timeout bool) {
		t.Helper()
		e, ok := err.(*net.DNSError)
		if !ok || e.IsTemporary != temporary || e.IsNotFound == temporary || e.IsTimeout != timeout {
			t.Errorf("%#v", err)
		}
	}
	_, err := r.LookupTXT(ctx, "example.org")
	f(err, false, false)
	_, err = r.LookupTXT(ctx, "no.example.org")
	f(err, false, false)
	_, err = r.LookupTXT(ctx, "a..b")
	f(err, false, false)
	_, err = r.LookupAddr(ctx, "no address")
	f(err, false, false)
	_, err = r.LookupIPAddr(ctx, "no.example.org")
	f(err, false, false)
	_, err = r.LookupIPAddr(ctx, "broken.example.org")
	f(err, true, false)
	hurried, cancel := context.WithCancel(ctx)
	cancel()
	_, err = r.LookupMX(hurried, "silent.example.org")
	f(err, true, true)
}
