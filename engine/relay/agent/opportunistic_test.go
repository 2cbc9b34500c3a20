package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postrider/engine/relay/mx"
	"postrider/engine/relay/queue"
	"postrider/engine/relay/tlspolicy"
	"postrider/storage"
)

// zone is a domain b.test with one mail host, at 127.0.0.2.
var zone = []string{"b.test. 300 IN MX 10 mx.b.test.", "mx.b.test. 300 IN A 127.0.0.2"}

// Mail goes over TLS, whatever the certificate is.
func TestOpportunistic(t *testing.T) {
	a := newAuthority(t)
	b := newBed(t, nil, 0, nil, zone...)
	h := startMX(t, b.at(2), "", a.issue(time.Now().Add(-time.Hour), "else.test"))
	b.send("bob@b.test")
	if got := h.got(); got != "tls=true name=mx.b.test auth=" {
		t.Error(got)
	}
	b.wantLog(fmt.Sprintf("Untrusted TLS connection established to mx.b.test[127.0.0.2]:%d: TLSv1.3 with cipher TLS_AES_", b.port))
	if n := b.Stats.OverTLS.Load(); n != 1 || b.Stats.Verified.Load() != 0 {
		t.Errorf("%d over TLS", n)
	}
}

// A host that sends octets after its 220 gets no mail, over TLS or without it; the
// next host does.
func TestInjection(t *testing.T) {
	a := newAuthority(t)
	b := newBed(t, nil, 0, nil, append(zone, "b.test. 300 IN MX 20 second.b.test.", "second.b.test. 300 IN A 127.0.0.3")...)
	first := startMX(t, b.at(2), "inject", a.issue(time.Time{}, "mx.b.test"))
	second := startMX(t, b.at(3), "", a.issue(time.Time{}, "x"))
	b.send("bob@b.test")
	if first.got() != "" || second.got() != "tls=true name=second.b.test auth=" {
		t.Errorf("%q %q", first.got(), second.got())
	}
}

// No mail goes in clear text where TLS is demanded.
func TestEncrypt(t *testing.T) {
	for mode, why := range map[string]string{
		"no-tls": "4.7.4 host mx.b.test[127.0.0.2]: TLS is required, but was not offered by the host",
		"refuse": "4.7.4 host mx.b.test[127.0.0.2]: TLS is required, but the host refused to start it: 454 4.7.0 not now",
		"hangup": "4.7.5 host mx.b.test[127.0.0.2]: Cannot start TLS: handshake failure: the host closed the connection",
		"old":    "4.7.5 host mx.b.test[127.0.0.2]: Cannot start TLS: handshake failure: ",
	} {
		t.Run(mode, func(t *testing.T) {
			b := newBed(t, nil, 0, func(set *Settings) { set.Security.Rules = tlsRules(tlspolicy.May, "b.test encrypt") }, zone...)
			h := startMX(t, b.at(2), mode, newAuthority(t).issue(time.Time{}, "mx.b.test"))
			wantText(t, b.deferred("bob@b.test"), why)
			if got := h.got(); got != "" {
				t.Error(got)
			}
		})
	}
}

// The client does not send STARTTLS at level "none".
func TestNone(t *testing.T) {
	b := newBed(t, nil, 0, func(set *Settings) { set.Security.Rules = tlsRules(tlspolicy.None) }, zone...)
	h := startMX(t, b.at(2), "", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	b.send("bob@b.test")
	if h.got() != "tls=false name= auth=" || h.asked() != 0 {
		t.Errorf("%s, asked %d times", h.got(), h.asked())
	}
}

// A valid certificate has the host's name, has not expired, and is by a known authority.
func TestVerify(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	demand := func(set *Settings) { set.Security.Rules = tlsRules(tlspolicy.Verify) }
	t.Run("valid", func(t *testing.T) {
		b := newBed(t, a.pool(), 0, demand, zone...)
		h := startMX(t, b.at(2), "", a.issue(time.Time{}, "mx.b.test"))
		b.send("bob@b.test")
		if got := h.got(); got != "tls=true name=mx.b.test auth=" {
			t.Error(got)
		}
		b.wantLog("Verified TLS connection established to mx.b.test[127.0.0.2]")
		if b.Stats.Verified.Load() != 1 {
			t.Error("not counted")
		}
	})
	f := func(name string, issuer *authority, until time.Time, host, why string) {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, a.pool(), 0, demand, zone...)
			h := startMX(t, b.at(2), "", issuer.issue(until, host))
			wantText(t, b.deferred("bob@b.test"), "4.7.5", "Server certificate not trusted: relay.tls_default demands it: ", why)
			if got := h.got(); got != "" {
				t.Error(got)
			}
		})
	}
	f("name", a, time.Time{}, "mx.else.test", "not mx.b.test")
	f("expired", a, time.Now().Add(-time.Minute), "mx.b.test", "expired")
	f("authority", other, time.Time{}, "mx.b.test", "unknown authority")
}

// A message's history has the TLS facts of the connection.
func TestHistory(t *testing.T) {
	b := newBed(t, nil, 0, nil, zone...)
	startMX(t, b.at(2), "greylist", newAuthority(t).issue(time.Time{}, "mx.b.test"))
	id := b.submit("bob@b.test")
	b.until("the queue is empty", func() bool {
		n, _ := b.store.QueueTotal()
		return n == 0
	})
	var all []string
	if err := b.store.History(id.Message, func(r storage.Record) bool {
		all = append(all, r.Text)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	wantText(t, strings.Join(all, "\n"), fmt.Sprintf("attempt 1, mx.b.test[127.0.0.2]:%d, Untrusted TLSv1.3 with cipher ", b.port), "attempt 2, ")
}

// Passwords go in clear text to this machine only, unless the operator permits more.
func TestPasswordsWantTLS(t *testing.T) {
	b := newBed(t, nil, 0, nil)
	f := func(addr string, login, allowed bool, want tlspolicy.Level) {
		t.Helper()
		b.rules().AuthWithoutTLS = allowed
		host := mx.Host{Name: "mx.test", Addr: netip.MustParseAddrPort(addr)}
		one := &attempt{c: b.Courier, set: b.rules(), security: &NextHopSecurity{s: b.rules().security, Level: tlspolicy.May}, answer: new(mx.Answer), outcome: new(queue.Attempt)}
		if d, err := one.demand(host, login); err != nil || d.Level != want {
			t.Errorf("%s %t %t: %s %v", addr, login, allowed, d.Level, err)
		}
	}
	f("192.0.2.1:587", true, false, tlspolicy.Encrypt)
	f("192.0.2.1:587", true, true, tlspolicy.May)
	f("192.0.2.1:587", false, false, tlspolicy.May)
	f("127.0.0.1:587", true, false, tlspolicy.May)
}

// clearHosts is bounded, and forgets each host after clearFor.
func TestClearHosts(t *testing.T) {
	var c clearHosts
	now := time.Unix(1e9, 0)
	for i := range 3 * maxClear {
		c.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 25), now)
		if c.until.Len() > maxClear {
			t.Fatalf("%d hosts", c.until.Len())
		}
	}
	a := netip.MustParseAddrPort("192.0.2.1:25")
	c.add(a, now)
	if !c.has(a, now.Add(clearFor-1)) || c.has(a, now.Add(clearFor)) || c.has(a, now) {
		t.Error("a host is remembered for another time than it should")
	}
}
