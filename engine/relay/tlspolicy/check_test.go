package tlspolicy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// issued is a certificate and its key.
type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate that is valid for an hour around now; an authority
// without names.
func issue(t *testing.T, by *issued, names ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: len(names) == 0,
	}
	template.Subject.CommonName = "authority " + template.SerialNumber.String()
	if by == nil {
		by = &issued{template, key}
	}
	octets, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(octets)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{c, key}
}

// record makes a record of a certificate.
func record(usage, selector, matching uint8, c *issued) TLSA {
	data := c.Raw
	if selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return TLSA{usage, selector, matching, data}
}

// Every kind of record finds its certificate, and no other.
func TestCheckDANE(t *testing.T) {
	root := issue(t, nil)
	between := issue(t, root)
	host := issue(t, between, "mx.test")
	stranger := issue(t, nil)
	whole := []*x509.Certificate{host.Certificate, between.Certificate, root.Certificate}
	f := func(chain []*x509.Certificate, at time.Time, name string, r TLSA, want string) {
		t.Helper()
		if !r.Usable() {
			t.Fatalf("%s is not usable", r)
		}
		d := Demand{Level: DANE, By: "DANE", Names: []string{name, "dom.test"}, Records: []TLSA{record(3, 1, 1, stranger), record(2, 1, 1, stranger), r}}
		trust, err := d.Check(chain, nil, at)
		if want == "" && (err != nil || !trust.Verified || trust.How != r.String()) {
			t.Errorf("%s: %v %v", r, trust, err)
		}
		if want != "" && (err == nil || trust.Verified || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v %v, want %s", r, trust, err, want)
		}
	}
	for _, selector := range []uint8{0, 1} {
		for _, matching := range []uint8{0, 1, 2} {
			f(whole, now.Add(time.Hour*24*365), "else.test", record(3, selector, matching, host), "") // neither name nor date
			f(whole, now, "mx.test", record(2, selector, matching, root), "")
			f(whole[:2], now, "mx.test", record(2, selector, matching, between), "")
			f(whole, now, "else.test", record(2, selector, matching, root), "dom.test")
			f(whole, now.Add(2*time.Hour), "mx.test", record(2, selector, matching, root), "expired")
			f(whole, now, "mx.test", record(3, selector, matching, root), "no TLSA record matches")
		}
	}
}

// An authority that the host does not send is found if the record holds all of it.
func TestAuthorityInTheRecord(t *testing.T) {
	root := issue(t, nil)
	host := issue(t, root, "mx.test")
	alone := []*x509.Certificate{host.Certificate}
	d := Demand{Level: DANE, Names: []string{"mx.test"}, Records: []TLSA{record(2, 0, 0, root)}}
	if trust, err := d.Check(alone, nil, now); err != nil || trust.How != "DANE-TA 2 0 0" {
		t.Errorf("%v %v", trust, err)
	}
	d.Records = []TLSA{record(2, 0, 1, root)}
	if trust, err := d.Check(alone, nil, now); err == nil {
		t.Errorf("%v", trust)
	}
	// A chain that only names the authority does not.
	other := issue(t, nil)
	fake := issue(t, other, "mx.test")
	if trust, err := d.Check([]*x509.Certificate{fake.Certificate, root.Certificate}, nil, now); err == nil {
		t.Errorf("%v", trust)
	}
}

// The authorities are the ones that are handed in.
func TestCheckVerify(t *testing.T) {
	root := issue(t, nil)
	host := issue(t, root, "mx.test", "*.wild.test")
	roots := x509.NewCertPool()
	roots.AddCert(root.Certificate)
	f := func(name string, roots *x509.CertPool, at time.Time, want string) {
		t.Helper()
		d := Demand{Level: Verify, By: "MTA-STS", Names: []string{name}}
		trust, err := d.Check([]*x509.Certificate{host.Certificate}, roots, at)
		if (err == nil) != (want == "") || trust.Verified != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", name, trust, err)
		}
	}
	f("mx.test", roots, now, "")
	f("a.wild.test", roots, now, "")
	f("a.b.wild.test", roots, now, "MTA-STS demands it: ")
	f("else.test", roots, now, "not else.test")
	f("mx.test", roots, now.Add(2*time.Hour), "expired")
	f("mx.test", nil, now, "unknown authority")
}
