package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

// Where mail goes with a real DNS server (RFC 5321 section 5.1, RFC 7505).
// All mail is handed in first, so that the waits go on side by side.
func TestRelayAsks(t *testing.T) {
	t.Parallel()
	heavy(t)
	// Our own server takes mail at a fourth address, at the port of the mail hosts.
	port, hosts := startPeers(t, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
	first, second, third := hosts[0], hosts[1], hosts[2]
	hosts[3].close()
	names := dnstest.Start(t, zoneOfRelayAsks...)
	names.Behave("servfail.test", dns.TypeANY, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	names.Behave("silent.test", dns.TypeANY, dnstest.Behaviour{Silent: true})

	s := newServer(t, "writer")
	// Each message over a connection of its own, for which a host is chosen again.
	s.configure(relayConfig(names, port, "messages_per_connection = 1"))
	s.args = append(s.args, "--smtp", fmt.Sprintf("127.0.0.5:%d", port))
	s.start()
	const equal = 40
	for i := range equal {
		s.submit(submission{from: "writer@localhost", to: []string{fmt.Sprintf("r%d@equal.test", i)}})
	}
	for _, domain := range strings.Fields(`prefer.test failover.test implicit.test null.test nothere.test nomail.test servfail.test
		silent.test self.test selfaddr.test backup.test alias.test aliasmx.test multi.test [127.0.0.2]`) {
		s.submit(submission{from: "writer@localhost", to: []string{"r@" + domain}})
	}

	f := func(domain string, at *peer) {
		t.Helper()
		eventually(t, "mail for "+domain+" is at "+at.host, func() bool { return at.got("r@"+domain) > 0 })
		for _, p := range hosts {
			if n := p.got("r@" + domain); n > 0 && p != at || n > 1 {
				t.Errorf("%d messages for %s went to %s, one belongs to %s", n, domain, p.host, at.host)
			}
		}
	}
	f("prefer.test", first)
	f("failover.test", second)
	f("implicit.test", third)
	f("alias.test", first)
	f("aliasmx.test", second)
	f("multi.test", second)
	f("[127.0.0.2]", first)

	bounced := func(domain, status, words string) {
		t.Helper()
		_, about := s.notice("writer", "r@"+domain, "failed")
		if about.Get("Status") != status || !strings.Contains(about.Get("Diagnostic-Code"), words) {
			t.Errorf("mail for %s was returned with %s, %q; want %s, %q", domain, about.Get("Status"), about.Get("Diagnostic-Code"), status, words)
		}
	}
	bounced("null.test", "5.1.10", "nullMX")
	bounced("nothere.test", "5.1.2", "Host not found")
	bounced("nomail.test", "5.4.4", "no data record")
	bounced("self.test", "5.4.6", "loops back to myself")
	bounced("selfaddr.test", "5.4.6", "loops back to myself")

	waits := func(domain, status string) {
		t.Helper()
		if got, reason := s.deferred(domain, "r@"+domain); got != status {
			t.Errorf("mail for %s waits because of %s, %s; want %s", domain, got, reason, status)
		}
	}
	waits("servfail.test", "4.4.3")
	waits("silent.test", "4.4.3")
	waits("backup.test", "4.4.1") // hosts with a higher preference number than ours are not tried

	for _, domain := range []string{"servfail.test", "silent.test"} {
		names.Behave(domain, dns.TypeANY, dnstest.Behaviour{})
	}
	if err := names.Set("backup.test", "backup.test. 1 IN MX 10 mx3.test."); err != nil {
		t.Fatal(err)
	}
	f("servfail.test", first)
	f("silent.test", second)
	f("backup.test", third)
	s.emptied()

	a, b := 0, 0
	for i := range equal {
		to := fmt.Sprintf("r%d@equal.test", i)
		a, b = a+first.got(to), b+second.got(to)
	}
	if a+b != equal || a == 0 || b == 0 {
		t.Errorf("of %d messages for two equal hosts %d went to one and %d to the other", equal, a, b)
	}
	s.terminate()
}

var zoneOfRelayAsks = []string{
	"mx1.test. 300 IN A 127.0.0.2",
	"mx2.test. 300 IN A 127.0.0.3",
	"mx3.test. 300 IN A 127.0.0.4",
	"down.test. 300 IN A 127.0.0.6",
	"us.test. 300 IN A 127.0.0.5",
	"mx.localhost. 300 IN A 127.0.0.5",

	"prefer.test. 300 IN MX 20 mx2.test.",
	"prefer.test. 300 IN MX 10 mx1.test.",
	"failover.test. 300 IN MX 10 down.test.",
	"failover.test. 300 IN MX 20 mx2.test.",
	"equal.test. 300 IN MX 10 mx1.test.",
	"equal.test. 300 IN MX 10 mx2.test.",
	"implicit.test. 300 IN A 127.0.0.4",
	"null.test. 300 IN MX 0 .",
	"nomail.test. 300 IN TXT \"no mail here\"",
	"servfail.test. 1 IN MX 10 mx1.test.",
	"silent.test. 1 IN MX 10 mx2.test.",
	"self.test. 300 IN MX 10 mx.localhost.",
	"selfaddr.test. 300 IN MX 10 us.test.",
	"backup.test. 1 IN MX 10 down.test.",
	"backup.test. 1 IN MX 20 mx.localhost.",
	"backup.test. 1 IN MX 30 mx3.test.",
	"alias.test. 300 IN CNAME target.test.",
	"target.test. 300 IN MX 10 mx1.test.",
	"aliasmx.test. 300 IN MX 10 name.test.",
	"name.test. 300 IN CNAME mx2.test.",
	"multi.test. 300 IN A 127.0.0.6",
	"multi.test. 300 IN A 127.0.0.3",
}
