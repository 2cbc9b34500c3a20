package agent

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/relay/tlspolicy"
)

// tlsa adds a TLSA record for mx.b.test.
func (b *bed) tlsa(usage, selector int, c *x509.Certificate) {
	b.t.Helper()
	octets := c.Raw
	if selector == 1 {
		octets = c.RawSubjectPublicKeyInfo
	}
	name := fmt.Sprintf("_%d._tcp.mx.b.test", b.port)
	if err := b.dns.Add(fmt.Sprintf("%s. 300 IN TLSA %d %d 1 %x", name, usage, selector, sha256.Sum256(octets))); err != nil {
		b.t.Fatal(err)
	}
}

// A certificate that no authority has signed is good if a TLSA record names it. The
// MTA-STS policy, which demands a valid certificate, does not count then.
func TestDANE(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue(time.Now().Add(-time.Hour), "else.test")
	b := newBed(t, nil, 1, nil, append(zone, `_mta-sts.b.test. 300 IN TXT "v=STSv1; id=1"`)...)
	b.dns.Vouch(".")
	b.tlsa(3, 1, cert.Leaf)
	h := startMX(t, b.at(2), "", cert)
	b.send("bob@b.test")
	if got := h.got(); got != "tls=true name=mx.b.test auth=" {
		t.Error(got)
	}
	b.wantLog("Verified TLS connection established to mx.b.test[127.0.0.2]")
	b.wantLog("verified by DANE-EE 3 1 1")
	b.until("the log has that DANE is on", func() bool { return strings.Contains(b.log.String(), "DANE is on") })
}

// Usage 2 of a TLSA record names the authority: then names and dates count.
func TestDANEAuthority(t *testing.T) {
	a := newAuthority(t)
	f := func(name, host string, until time.Time, why string) {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil, 0, nil, zone...)
			b.dns.Vouch("b.test")
			b.tlsa(2, 0, a.cert)
			h := startMX(t, b.at(2), "", a.issue(until, host))
			if why == "" {
				b.send("bob@b.test")
				b.wantLog("verified by DANE-TA 2 0 1")
				return
			}
			wantText(t, b.deferred("bob@b.test"), "4.7.5", "Server certificate not trusted", why)
			if h.got() != "" {
				t.Error("it was sent all the same")
			}
		})
	}
	f("host", "mx.b.test", time.Time{}, "")
	f("domain", "b.test", time.Time{}, "")
	f("name", "else.test", time.Time{}, "not b.test")
	f("expired", "mx.b.test", time.Now().Add(-time.Hour), "expired")
}

// TLSA records allow no fallback, whatever breaks TLS.
func TestDANEFails(t *testing.T) {
	a := newAuthority(t)
	valid := a.issue(time.Time{}, "mx.b.test")
	f := func(name, mode, why string, prepare func(b *bed)) {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, a.pool(), 0, nil, zone...)
			b.dns.Vouch("b.test")
			prepare(b)
			h := startMX(t, b.at(2), mode, valid)
			wantText(t, b.deferred("bob@b.test"), why)
			if h.got() != "" {
				t.Error("it was sent all the same")
			}
		})
	}
	other := a.issue(time.Time{}, "mx.b.test").Leaf
	f("mismatch", "", "no TLSA record matches the certificate", func(b *bed) { b.tlsa(3, 1, other) })
	f("mismatch of the authority", "", "no TLSA record matches the certificate", func(b *bed) { b.tlsa(2, 1, other) })
	f("no TLS", "no-tls", "4.7.4 host mx.b.test[127.0.0.2]: TLS is required", func(b *bed) { b.tlsa(3, 1, valid.Leaf) })
	f("hangup", "hangup", "handshake failure", func(b *bed) { b.tlsa(3, 1, valid.Leaf) })
	f("unusable, no TLS", "no-tls", "4.7.4 host mx.b.test[127.0.0.2]: TLS is required", func(b *bed) { b.tlsa(1, 1, valid.Leaf) })
	f("lookup", "", "TLSA lookup error for mx.b.test", func(b *bed) {
		b.dns.Behave(fmt.Sprintf("_%d._tcp.mx.b.test", b.port), dns.TypeTLSA, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	})
}

// TLSA records without DNSSEC don't count, and are not looked up.
func TestDANEWithoutDNSSEC(t *testing.T) {
	a := newAuthority(t)
	b := newBed(t, nil, 0, nil, zone...)
	b.tlsa(3, 1, a.cert)
	h := startMX(t, b.at(2), "", a.issue(time.Time{}, "x"))
	b.send("bob@b.test")
	if got := h.got(); got != "tls=true name=mx.b.test auth=" {
		t.Error(got)
	}
	if n := b.dns.Asked(fmt.Sprintf("_%d._tcp.mx.b.test", b.port), dns.TypeTLSA); n != 0 {
		t.Errorf("asked %d times", n)
	}
	b.until("the log has that DANE is off", func() bool { return strings.Contains(b.log.String(), "DANE is off") })
}

// The operator may demand TLSA records.
func TestDANEDemanded(t *testing.T) {
	b := newBed(t, nil, 0, func(set *Settings) { set.Security.Rules = tlsRules(tlspolicy.May, "b.test dane") }, zone...)
	h := startMX(t, b.at(2), "", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	wantText(t, b.deferred("bob@b.test"), "4.7.5", "relay.tls demands dane, and no TLSA records of mx.b.test are known that DNSSEC vouches for")
	if h.got() != "" {
		t.Error("it was sent all the same")
	}
}

// startPolicy runs a web server with a policy at 127.0.0.9, and returns its port.
func startPolicy(t testing.TB, cert tls.Certificate, policy string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/mta-sts.txt" || !strings.HasPrefix(r.Host, "mta-sts.b.test") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, policy)
	}))
	s.Listener.Close()
	s.Listener, s.TLS = l, &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return l.Addr().(*net.TCPAddr).Port
}

// stsZone is zone with a policy, and with a better mail host that the policy does not name.
var stsZone = append(zone[:len(zone):len(zone)],
	"b.test. 300 IN MX 5 rogue.else.test.", "rogue.else.test. 300 IN A 127.0.0.3",
	`_mta-sts.b.test. 300 IN TXT "v=STSv1; id=20261125"`, "mta-sts.b.test. 300 IN A 127.0.0.9")

const enforced = "version: STSv1\nmode: enforce\nmx: *.b.test\nmax_age: 86400\n"

// An MTA-STS policy in enforce mode excludes hosts that it does not name, and demands a
// valid certificate from the others.
func TestMTASTS(t *testing.T) {
	a := newAuthority(t)
	port := startPolicy(t, a.issue(time.Time{}, "mta-sts.b.test"), enforced)
	t.Run("valid", func(t *testing.T) {
		b := newBed(t, a.pool(), port, nil, stsZone...)
		h := startMX(t, b.at(2), "", a.issue(time.Time{}, "mx.b.test"))
		rogue := startMX(t, b.at(3), "", a.issue(time.Time{}, "rogue.else.test"))
		b.send("bob@b.test")
		if h.got() != "tls=true name=mx.b.test auth=" || rogue.got() != "" {
			t.Errorf("%s, %s", h.got(), rogue.got())
		}
		b.wantLog("Verified TLS connection established to mx.b.test[127.0.0.2]")
	})
	f := func(name, mode, why string, cert tls.Certificate) {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, a.pool(), port, nil, stsZone...)
			h := startMX(t, b.at(2), mode, cert)
			rogue := startMX(t, b.at(3), "", a.issue(time.Time{}, "rogue.else.test"))
			wantText(t, b.deferred("bob@b.test"), why)
			if h.got()+rogue.got() != "" {
				t.Error("it was sent all the same")
			}
		})
	}
	f("certificate", "", "MTA-STS demands it: ", a.issue(time.Time{}, "else.test"))
	f("no TLS", "no-tls", "4.7.4", a.issue(time.Time{}, "mx.b.test"))
	f("hangup", "hangup", "handshake failure", a.issue(time.Time{}, "mx.b.test"))
}

// An MTA-STS policy in testing mode only logs what it would refuse.
func TestMTASTSTesting(t *testing.T) {
	a := newAuthority(t)
	port := startPolicy(t, a.issue(time.Time{}, "mta-sts.b.test"), strings.Replace(enforced, "enforce", "testing", 1))
	b := newBed(t, a.pool(), port, nil, stsZone...)
	rogue := startMX(t, b.at(3), "no-tls", tls.Certificate{})
	b.send("bob@b.test")
	if got := rogue.got(); got != "tls=false name= auth=" {
		t.Error(got)
	}
	b.wantLog("MTA-STS policy in testing: rogue.else.test[127.0.0.3]")
	b.wantLog("is not among the mx of the domain's MTA-STS policy")
}

// A policy that can't be fetched counts as none.
func TestMTASTSUnreachable(t *testing.T) {
	a := newAuthority(t)
	port := startPolicy(t, a.issue(time.Time{}, "else.test"), enforced)
	b := newBed(t, a.pool(), port, nil, stsZone...)
	rogue := startMX(t, b.at(3), "no-tls", tls.Certificate{})
	b.send("bob@b.test")
	if got := rogue.got(); got != "tls=false name= auth=" {
		t.Error(got)
	}
	b.wantLog("the MTA-STS policy can't be fetched")
}
