package tlspolicy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	r, err := NewRules(May, []string{"Example.org encrypt", "example.org none", ".example.org verify", ".test dane", "[smtp.example.net]:587 verify", "smtp.example.net none", "Café.example encrypt", ".TEEHAUS-GRÜN.example verify", "[mx.gru\u0308n.example]:26 dane"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(hop, host, want string) {
		t.Helper()
		level, rule := r.Level(hop, host)
		if got := level.String() + " " + rule; got != want {
			t.Errorf("%s: %s", hop, got)
		}
	}
	f("example.org", "example.org", "encrypt relay.tls")
	f("EXAMPLE.ORG", "EXAMPLE.ORG", "encrypt relay.tls")
	f("a.example.org", "a.example.org", "verify relay.tls")
	f("a.b.example.org", "a.b.example.org", "verify relay.tls")
	f("notexample.org", "notexample.org", "may relay.tls_default")
	f("x.test", "x.test", "dane relay.tls")
	f("test", "test", "may relay.tls_default")
	f("xn--caf-dma.example", "xn--caf-dma.example", "encrypt relay.tls")
	f("x.xn--teehaus-grn-2hb.example", "x.xn--teehaus-grn-2hb.example", "verify relay.tls")
	f("[mx.xn--grn-ioa.example]:26", "mx.xn--grn-ioa.example", "dane relay.tls")
	f("[smtp.example.net]:587", "smtp.example.net", "verify relay.tls")
	f("[smtp.example.net]", "smtp.example.net", "none relay.tls")
	for _, bad := range []string{"", "example.org", "example.org strong", "example.org may encrypt"} {
		if _, err := NewRules(May, []string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestParseRecord(t *testing.T) {
	f := func(want string, records ...string) {
		t.Helper()
		id, ok := ParseRecord(records)
		if id != want || ok != (want != "") {
			t.Errorf("%q: %q %t", records, id, ok)
		}
	}
	f("20160831085700Z", "v=STSv1; id=20160831085700Z;") // RFC 8461 section 3.1
	f("1", "v=spf1 -all", "v=STSv1;id=1")
	f("1", "v=STSv1 ; a=b; id=1; id=2")
	f("", "v=STSv1; id=1", "v=STSv1; id=1")
	f("", "v=STSv1")
	f("", "v=STSv1; id=")
	f("", "v=STSv1; id=a-b")
	f("", "v=STSv1; id="+strings.Repeat("a", 33))
	f("", "v=STSv12; id=1")
	f("", " v=STSv1; id=1")
	f("")
}

func TestParsePolicy(t *testing.T) {
	f := func(text, want string, age time.Duration) {
		t.Helper()
		p, err := ParsePolicy([]byte(text))
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) || age != 0 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if p.String() != want || p.MaxAge != age {
			t.Errorf("%q: %s %v", text, p, p.MaxAge)
		}
	}
	// RFC 8461 section 3.2
	f("version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n",
		"enforce, mx mail.example.com *.example.net backupmx.example.com", 604800*time.Second)
	f("version:STSv1\r\nmode:testing\r\nmx: MX.Example.COM.\r\nmax_age: 9999999999\r\nmode: none\r\nfuture: x", "testing, mx mx.example.com", maxMaxAge*time.Second)
	f("version: STSv1\nmode: none\nmax_age: 86400", "none, mx ", 86400*time.Second)
	f("version: STSv2\nmode: none\nmax_age: 1", "STSv2", 0)
	f("mode: none\nmax_age: 1", "version", 0)
	f("version: STSv1\nmode: strict\nmx: a\nmax_age: 1", "strict", 0)
	f("version: STSv1\nmode: enforce\nmax_age: 1", "no mx", 0)
	f("version: STSv1\nmode: enforce\nmx: a\nmax_age: soon", "soon", 0)
	f("version: STSv1\nmode: enforce\nmx: a\nmax_age: -1", "-1", 0)
	f("version: STSv1\nmode: enforce\nmx: a", "max_age", 0)
	f("<html>", "version", 0)
}

// RFC 8461 section 4.1: a wildcard matches one label, the first.
func TestAllows(t *testing.T) {
	p := &STS{MX: []string{"mail.example.com", "*.example.net"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "x.mail.example.com": false, "example.com": false,
		"a.example.net": true, "a.b.example.net": false, "example.net": false, "aexample.net": false, "": false,
	} {
		if p.Allows(host) != want {
			t.Errorf("%q: %t", host, !want)
		}
	}
}

func TestUsable(t *testing.T) {
	digest := make([]byte, 32)
	for _, c := range []struct {
		r    TLSA
		want bool
	}{
		{TLSA{3, 1, 1, digest}, true}, {TLSA{2, 0, 1, digest}, true}, {TLSA{3, 0, 2, make([]byte, 64)}, true}, {TLSA{2, 0, 0, digest}, true},
		{TLSA{0, 0, 1, digest}, false}, {TLSA{1, 1, 1, digest}, false}, {TLSA{4, 1, 1, digest}, false}, {TLSA{3, 2, 1, digest}, false},
		{TLSA{3, 1, 3, digest}, false}, {TLSA{3, 1, 2, digest}, false}, {TLSA{3, 1, 1, digest[:31]}, false}, {TLSA{3, 1, 0, nil}, false},
	} {
		if c.r.Usable() != c.want {
			t.Errorf("%s with %d octets: %t", c.r, len(c.r.Data), !c.want)
		}
	}
}

// Each line: what is known, and what follows.
func TestDecide(t *testing.T) {
	ee := TLSA{3, 1, 1, make([]byte, 32)}
	pkix := TLSA{1, 1, 1, make([]byte, 32)}
	enforce := &STS{Mode: ModeEnforce, MX: []string{"mx.test"}}
	elsewhere := &STS{Mode: ModeEnforce, MX: []string{"other.test"}}
	testing := &STS{Mode: ModeTesting, MX: []string{"other.test"}}
	f := func(level Level, sts *STS, lookup Lookup, records []TLSA, want string) {
		t.Helper()
		d, err := Decide(Case{level, "relay.tls", "dom.test", "mx.test", sts, lookup, records})
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s, %v, %v: %q", level, sts, records, got)
		}
	}
	f(None, enforce, LookupFound, []TLSA{ee}, "none, by relay.tls")
	f(May, nil, LookupNone, nil, "may, by relay.tls")
	f(May, nil, LookupFound, []TLSA{pkix, ee}, "dane, by DANE: DANE-EE 3 1 1")
	f(Verify, nil, LookupFound, []TLSA{ee}, "dane, by DANE: DANE-EE 3 1 1")
	f(May, elsewhere, LookupFound, []TLSA{ee}, "dane, by DANE: DANE-EE 3 1 1")
	f(May, nil, LookupFound, []TLSA{pkix}, "encrypt, by DANE")
	f(Verify, nil, LookupFound, []TLSA{pkix}, "verify, by relay.tls")
	f(DANE, nil, LookupFound, []TLSA{pkix}, "relay.tls demands dane, and no TLSA record of mx.test is usable for SMTP")
	f(DANE, nil, LookupNone, nil, "relay.tls demands dane, and no TLSA records of mx.test are known that DNSSEC vouches for")
	f(May, nil, LookupFailed, nil, "TLSA lookup error for mx.test: no answer from the name servers")
	f(May, enforce, LookupNone, nil, "verify, by MTA-STS")
	f(Encrypt, enforce, LookupNone, nil, "verify, by MTA-STS")
	f(Verify, enforce, LookupNone, nil, "verify, by relay.tls")
	f(May, elsewhere, LookupNone, nil, "mx.test is not among the mx of the domain's MTA-STS policy")
	f(May, testing, LookupNone, nil, "may, by relay.tls; MTA-STS in testing")
	f(May, &STS{Mode: ModeNone}, LookupNone, nil, "may, by relay.tls")
}

// A host without a certificate shows nothing, and without authorities none is valid,
// whatever the system knows.
func TestNoCertificate(t *testing.T) {
	for _, level := range []Level{Verify, DANE} {
		d := Demand{Level: level, Names: []string{"mx.test"}, Records: []TLSA{{3, 1, 1, make([]byte, 32)}}}
		if trust, err := d.Check(nil, nil, time.Time{}); err == nil || trust.Verified {
			t.Errorf("%s: %v", level, trust)
		}
	}
	d := Demand{Level: Encrypt}
	if trust, err := d.Check(nil, nil, time.Time{}); err != nil || trust.Verified || trust.Word() != "Untrusted" {
		t.Errorf("%v %v", trust, err)
	}
	d.Names = []string{"mx.test"}
	if err := d.TestPolicy(&STS{MX: []string{"other.test"}}, nil, nil, time.Time{}); !errors.Is(err, errNotListed) {
		t.Errorf("%v", err)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("version: STSv1\nmode: enforce\nmx: *.example.net\nmax_age: 604800\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err == nil && (p.MaxAge < 0 || p.MaxAge > maxMaxAge*time.Second || p.Mode == ModeEnforce && len(p.MX) == 0) {
			t.Fatalf("%+v", p)
		}
	})
}
