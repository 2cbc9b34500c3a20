package agent

import (
	"testing"
	"time"

	"postrider/engine/mail/router"
)

// SecurityReport.String has the policy, and for each host the demand or why the host is
// not used.
func TestSecurityReport(t *testing.T) {
	a := newAuthority(t)
	port := startPolicy(t, a.issue(time.Time{}, "mta-sts.b.test"), enforced)
	b := newBed(t, a.pool(), port, nil, append(stsZone, ". 300 IN SOA ns. root. 1 1 1 1 42")...)
	show := func(hop string) string {
		t.Helper()
		h, err := router.ParseHop(hop)
		if err != nil {
			t.Fatal(err)
		}
		found := b.hosts.Explain(t.Context(), h)
		return b.rules().security.Explain(t.Context(), h, &found).String()
	}
	wantText(t, show("b.test"), "tls: may, by relay.tls_default\n    MTA-STS: enforce, mx *.b.test\n"+
		"    rogue.else.test is not used: rogue.else.test is not among the mx of the domain's MTA-STS policy\n"+
		"    mx.b.test: verify, by MTA-STS\n    note: DNSSEC: "+b.dns.Addr()+" does not check signatures\n")

	b = newBed(t, a.pool(), port, nil, append(zone, ". 300 IN SOA ns. root. 1 1 1 1 42")...)
	b.dns.Vouch(".")
	b.tlsa(3, 1, a.cert)
	b.tlsa(2, 0, a.cert)
	wantText(t, show("b.test"), "tls: may, by relay.tls_default\n    mx.b.test: dane, by DANE: DANE-", "note: DNSSEC: "+b.dns.Addr()+" checks signatures\n")
	wantText(t, show("[127.0.0.2]"), "tls: may, by relay.tls_default\n    127.0.0.2: may, by relay.tls_default\n")
}
