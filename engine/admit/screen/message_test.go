package screen

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/authres"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"postrider/codec/dot"
	"postrider/engine/admit/policy"
	"postrider/engine/edge/dns/dnstest"
)

// hang is how long a test waits before it reports that something hangs.
const hang = 30 * time.Second

// signer has a key and the record that publishes it.
type signer struct {
	key    crypto.Signer
	record string
}

func newSigner(t *testing.T, name string, elliptic bool) signer {
	t.Helper()
	if elliptic {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		return signer{private, name + ` 60 IN TXT "v=DKIM1; k=ed25519; p=` + base64.StdEncoding.EncodeToString(public) + `"`}
	}
	key, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(der)
	return signer{key, name + ` 60 IN TXT "v=DKIM1; k=rsa; p=` + p[:200] + `" "` + p[200:] + `"`}
}

func (s signer) sign(t *testing.T, domain, text string) string {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(text), &dkim.SignOptions{
		Domain: domain, Selector: "s", Signer: s.key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Begin starts a check without a Guard.
func (v *Vetter) Begin(env Envelope) *Check {
	c := new(Check)
	c.begin(v, env)
	return c
}

// check plays a message into a Check, in wire form and cut every few octets.
func check(t *testing.T, v *Vetter, env Envelope, text string, timeout time.Duration) *Verdict {
	t.Helper()
	c := v.Begin(env)
	wire := dot.AppendStuffed(nil, []byte(text))
	for len(wire) > 0 {
		n := min(len(wire), 7)
		c.Write(wire[:n])
		clear(wire[:n])
		wire = wire[n:]
	}
	reported := make(chan struct{})
	c.Finish(timeout, func() { close(reported) })
	select {
	case <-reported:
	case <-time.After(hang):
		t.Fatal("no verdict")
	}
	return c.Verdict()
}

// shown is a verdict as the field has it, which the library must be able to read.
func shown(t *testing.T, v *Verdict) string {
	t.Helper()
	field := string(appendResults(nil, "mx.test", &Envelope{IP: netip.MustParseAddr("2001:db8::1"), Client: &Client{Rev: Pass}}, v))
	name, value, _ := strings.Cut(field, ": ")
	for line := range strings.SplitSeq(strings.TrimSuffix(field, "\r\n"), "\r\n") {
		if len(line) > 998 || line == "" {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	if len(field) > maxResults || name != "Authentication-Results" || !strings.HasSuffix(field, "\r\n") {
		t.Errorf("%d octets: %q", len(field), field)
	}
	id, results, err := authres.Parse(strings.NewReplacer("\r\n", "").Replace(value))
	if err != nil || id != "mx.test" || len(results) < 4 {
		t.Errorf("%q: %q, %v, %v", field, id, results, err)
	}
	value = strings.ReplaceAll(strings.TrimSuffix(value, "\r\n"), "\r\n\t", " ")
	return strings.TrimPrefix(value, `mx.test; iprev=pass policy.iprev="2001:db8::1"; `)
}

const letter = "From: Alice <alice@example.com>\r\nTo: b@mx.test\r\nSubject: x\r\n\r\nHello\r\n.a dot\r\n\r\n\r\n"

func TestVerdicts(t *testing.T) {
	rsaKey := newSigner(t, "s._domainkey.example.com.", false)
	edKey := newSigner(t, "s._domainkey.other.net.", true)
	server := dnstest.Start(t, rsaKey.record, edKey.record,
		`example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 -all"`,
		`_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject; sp=quarantine"`,
		`other.net. 60 IN TXT "v=spf1 ip4:192.0.2.1 ~all"`,
		`strict.com. 60 IN TXT "v=spf1 +all"`,
		`_dmarc.strict.com. 60 IN TXT "v=DMARC1; p=reject; aspf=s"`,
		`mail.strict.com. 60 IN TXT "v=spf1 +all"`,
		`_dmarc.signed.com. 60 IN TXT "v=DMARC1; p=reject"`,
		`_dmarc.silent.com. 60 IN TXT "v=DMARC1; p=reject"`,
		`_dmarc.sstrict.com. 60 IN TXT "v=DMARC1; p=quarantine; aspf=s; adkim=s"`,
		`_dmarc.bad.com. 60 IN TXT "v=DMARC1; p=whatever"`)
	for _, broken := range []string{"broken.com", "_dmarc.broken.com", "s._domainkey.broken.com", "s._domainkey.mail.signed.com",
		"mail.silent.com", "mail.sstrict.com", "s._domainkey.mail.sstrict.com"} {
		server.Behave(broken, dns.TypeANY, dnstest.Behaviour{Rcode: dns.RcodeServerFailure})
	}
	v := vetterOf(server)
	good, bad := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	f := func(ip netip.Addr, sender, text, want string) {
		t.Helper()
		if got := shown(t, check(t, v, Envelope{IP: ip, Helo: "helo.example.com", Sender: sender}, text, hang)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	from := func(field string) string { return field + "\r\nSubject: x\r\n\r\nx\r\n" }
	signed := rsaKey.sign(t, "example.com", letter)

	f(good, "a@example.com", letter, "spf=pass smtp.mailfrom=example.com; dkim=none; dmarc=pass header.from=example.com")
	f(bad, "a@example.com", signed, "spf=fail smtp.mailfrom=example.com; dkim=pass header.d=example.com; dmarc=pass header.from=example.com")
	f(bad, "a@example.com", letter, "spf=fail smtp.mailfrom=example.com; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@example.com", strings.Replace(signed, "Hello", "hello", 1),
		`spf=fail smtp.mailfrom=example.com; dkim=fail reason="dkim: body hash did not verify" header.d=example.com; dmarc=fail (p=reject) header.from=example.com`)
	f(good, "a@other.net", edKey.sign(t, "other.net", letter), "spf=pass smtp.mailfrom=other.net; dkim=pass header.d=other.net; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@other.net", edKey.sign(t, "other.net", signed), "spf=softfail smtp.mailfrom=other.net; dkim=pass header.d=other.net; dkim=pass header.d=example.com; dmarc=pass header.from=example.com")
	f(bad, "", letter, "spf=none smtp.helo=helo.example.com; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", from("From: <a@sub.example.com>"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=fail (p=quarantine) header.from=sub.example.com")
	f(bad, "a@mail.strict.com", from("From: a@strict.com"), "spf=pass smtp.mailfrom=mail.strict.com; dkim=none; dmarc=fail (p=reject) header.from=strict.com")
	f(bad, "a@bad.com", from("From: a@bad.com"), "spf=none smtp.mailfrom=bad.com; dkim=none; dmarc=permerror header.from=bad.com")
	f(bad, "a@nothing.org", from("From: a@nothing.org"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=none header.from=nothing.org")

	// A silent name server is never the sender's fault.
	f(bad, "a@broken.com", from("From: a@broken.com"), "spf=temperror smtp.mailfrom=broken.com; dkim=none; dmarc=temperror header.from=broken.com")
	f(bad, "a@signed.com", edKey.sign(t, "mail.signed.com", from("From: a@signed.com")),
		`spf=none smtp.mailfrom=signed.com; dkim=temperror reason="no answer from DNS" header.d=mail.signed.com; dmarc=temperror header.from=signed.com`)

	// The silence about a domain that could not prove the author does not bypass a policy.
	f(bad, "a@broken.com", letter, "spf=temperror smtp.mailfrom=broken.com; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", edKey.sign(t, "broken.com", letter),
		`spf=none smtp.mailfrom=nothing.org; dkim=temperror reason="no answer from DNS" header.d=broken.com; dmarc=fail (p=reject) header.from=example.com`)
	f(bad, "a@mail.silent.com", from("From: a@silent.com"), "spf=temperror smtp.mailfrom=mail.silent.com; dkim=none; dmarc=temperror header.from=silent.com")
	f(bad, "a@mail.sstrict.com", from("From: a@sstrict.com"), "spf=temperror smtp.mailfrom=mail.sstrict.com; dkim=none; dmarc=fail (p=quarantine) header.from=sstrict.com")
	f(bad, "a@nothing.org", edKey.sign(t, "mail.sstrict.com", from("From: a@sstrict.com")),
		`spf=none smtp.mailfrom=nothing.org; dkim=temperror reason="no answer from DNS" header.d=mail.sstrict.com; dmarc=fail (p=quarantine) header.from=sstrict.com`)
	f(bad, "a@nothing.org", edKey.sign(t, "broken.com", from("From: a@example.com, b@signed.com")),
		`spf=none smtp.mailfrom=nothing.org; dkim=temperror reason="no answer from DNS" header.d=broken.com; dmarc=fail (p=reject) header.from=example.com`)

	// One more author, or a field that breaks the rules, does not bypass a policy.
	f(bad, "a@nothing.org", from("From: a@nothing.org, b@example.com"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", from("From: a@nothing.org\r\nFROM : b@example.com"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", from("From: \"x\" y z <b@example.com"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", from("From: =?koi8-r?Q?x?=\r\n <B@EXAMPLE.com>"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=fail (p=reject) header.from=example.com")
	f(bad, "a@nothing.org", from("Sender: a@example.com"), "spf=none smtp.mailfrom=nothing.org; dkim=none; dmarc=permerror")
	f(bad, "a@[192.0.2.1]", "", "spf=none; dkim=none; dmarc=permerror")
}

// More authors than are looked at do not bypass the policy of one of them.
func TestTooManyAuthors(t *testing.T) {
	server := dnstest.Start(t, `_dmarc.example.com. 60 IN TXT "v=DMARC1; p=quarantine"`)
	v := vetterOf(server)
	f := func(field string, want DMARCResult) {
		t.Helper()
		got := check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x.test"}, field+"\r\nSubject: x\r\n\r\nx\r\n", hang).DMARC
		if got != want {
			t.Errorf("%.60q: %+v", field, got)
		}
	}
	const five = "x@a.org, x@b.org, x@c.org, x@d.org, y@D.org, x@example.com"
	many := DMARCResult{Result: PermError, Disposition: policy.Reject, TooManyAuthors: true}
	f("From: "+five, DMARCResult{Result: Fail, From: "example.com", Disposition: policy.Quarantine})
	f("From: "+five+", x@f.org", many)
	f("From: x@f.org\r\nfrom: "+five, many)
	f("From: group: "+strings.ReplaceAll(five, ".org", ".net")+", x@f.org;", many)
	f("From: x@a.org x@b.org x@c.org x@d.org x@e.org <x@example.com", many) // not by the rules
	f("From: \""+strings.Repeat("x", maxFrom)+"\" <x@example.com>", many)
	f("From: (none)", DMARCResult{Result: PermError})
}

// A missing answer of DNS is a temperror when the time is over.
func TestVerdictInTime(t *testing.T) {
	server := dnstest.Start(t)
	server.Behave("example.com", dns.TypeANY, dnstest.Behaviour{Silent: true})
	server.Behave("_dmarc.example.com", dns.TypeANY, dnstest.Behaviour{Silent: true})
	v := vetterOf(server)
	got := shown(t, check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x", Sender: "a@example.com"}, letter, time.Millisecond))
	if got != "spf=temperror smtp.mailfrom=example.com; dkim=none; dmarc=temperror header.from=example.com" {
		t.Error(got)
	}
}

// However much comes in while DNS is slow, what is in memory has a bound, if the
// writer heeds Full.
func TestBacklog(t *testing.T) {
	key := newSigner(t, "s._domainkey.example.com.", true)
	server := dnstest.Start(t, key.record)
	server.Behave("s._domainkey.example.com", dns.TypeTXT, dnstest.Behaviour{Delay: 300 * time.Millisecond})
	text := key.sign(t, "example.com", letter+strings.Repeat("x\r\n", 1<<18))
	c := vetterOf(server).Begin(Envelope{IP: netip.MustParseAddr("192.0.2.1"), Sender: "a@example.com"})
	room, waited := make(chan struct{}, 1), 0
	for in := dot.AppendStuffed(nil, []byte(text)); len(in) > 0; {
		n := min(len(in), 16<<10)
		c.Write(in[:n])
		in = in[n:]
		c.stream.mu.Lock()
		if n := len(c.stream.buf) - c.stream.read; n > maxBacklog+16<<10 {
			t.Errorf("%d octets wait", n)
		}
		c.stream.mu.Unlock()
		if c.Full(func() { room <- struct{}{} }) {
			waited++
			<-room
		}
	}
	done := make(chan struct{})
	c.Finish(hang, func() { close(done) })
	<-done
	if got := c.Verdict().Signed(); got != "pass" {
		t.Errorf("dkim=%s, waited %d times", got, waited)
	}
}

// A message that is given up leaves no goroutine running.
func TestAbort(t *testing.T) {
	server := dnstest.Start(t)
	server.Behave("s._domainkey.example.com", dns.TypeTXT, dnstest.Behaviour{Silent: true})
	server.Behave("example.com", dns.TypeANY, dnstest.Behaviour{Silent: true})
	v := vetterOf(server)
	key := newSigner(t, "s._domainkey.example.com.", true)
	text := key.sign(t, "example.com", key.sign(t, "example.com", letter))
	head := strings.Index(text, "\r\n\r\n") + 4
	for _, cut := range []int{0, 10, head, head + 3, len(text)} {
		c := v.Begin(Envelope{IP: netip.MustParseAddr("192.0.2.1"), Sender: "a@example.com"})
		c.Write([]byte(text[:cut]))
		runtime.Gosched()
		c.Abort()
		c.Write([]byte("more"))
		select {
		case <-c.done:
		case <-time.After(hang):
			t.Fatalf("cut at %d: the check goes on", cut)
		}
	}
}

// The authors are found also in a header that is too large for a signature: it is no
// way around a policy, and neither is a From field that is too long itself.
func TestHugeHeader(t *testing.T) {
	server := dnstest.Start(t, `_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject"`)
	v := vetterOf(server)
	junk := "X: " + strings.Repeat("x", maxHead) + "\r\n"
	many := strings.Repeat("x:\r\n", 3000)
	folded := strings.Repeat(" \"a name\"\r\n", 800)
	const from, signed = "From: b\r\n <a@example.com>\r\n", "DKIM-Signature: v=1\r\n"
	f := func(text, dkim string, dmarc Result, want policy.Disposition) {
		t.Helper()
		got := check(t, v, Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x.test"}, text, hang)
		if got.Signed() != dkim || got.DMARC.Result != dmarc || got.DMARC.Disposition != want {
			t.Errorf("%.40q: %+v", text, got)
		}
	}
	f(from+junk+"\r\n", "permerror", Fail, policy.Reject)
	f(junk+from+signed+"\r\nbody\r\n", "permerror", Fail, policy.Reject)
	f("X: "+strings.Repeat("x", maxHead-15)+"\r\n"+from+"\r\n", "permerror", Fail, policy.Reject) // at the bound
	f(many+from+many+"\r\n", "permerror", Fail, policy.Reject)
	f("X: y\r\n"+from+junk[:1000], "none", Fail, policy.Reject) // nothing but a header
	f("From:\r\n"+folded+" <a@example.com>\r\n\r\n", "none", PermError, policy.Reject)
	f(junk+"From:\r\n"+folded+folded+" <a@example.com>\r\n\r\n", "permerror", PermError, policy.Reject)
}

// The field stays in its bounds and in its lines, whatever strangers put in.
func TestResultsInBounds(t *testing.T) {
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + "." + strings.Repeat("d", 60) + ".example"
	v := &Verdict{SPF: SPFResult{Result: Pass, Domain: long}, DMARC: DMARCResult{Result: Fail, From: long, Disposition: policy.Reject}}
	for range maxSignatures {
		v.Signatures = append(v.Signatures, Signature{PermError, long, strings.Repeat("\"\\\r\n;", 50)})
	}
	if got := shown(t, v); !strings.Contains(got, "dmarc=fail") || !strings.Contains(got, `reason="?????`) {
		t.Error(got)
	}
}
