package mx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns"
	"postrider/engine/edge/dns/dnstest"
	"postrider/engine/mail/router"
)

// bench is a Finder with a name server of its own and a clock that the test sets.
type bench struct {
	t   testing.TB
	dns *dnstest.Server
	now time.Time
	*Finder
}

type dnsOptions = dns.Options

// settings are the options for the Finder and its Resolver.
type settings struct {
	dnsOptions
	Options
}

// start makes a bench. change may change the settings.
func start(t testing.TB, change func(*settings), records ...string) *bench {
	t.Helper()
	b := &bench{t: t, dns: dnstest.Start(t, records...), now: time.Unix(1e9, 0)}
	o := settings{dns.Options{
		Servers:    []string{b.dns.Addr()},
		ResolvConf: filepath.Join(t.TempDir(), "none"),
		HostsFile:  filepath.Join(t.TempDir(), "none"),
		Timeout:    5 * time.Second,
		Now:        func() time.Time { return b.now },
	}, Options{Shuffle: rand.New(rand.NewPCG(1, 2)).Shuffle}}
	if change != nil {
		change(&o)
	}
	b.Finder = New(dns.New(o.dnsOptions), o.Options)
	return b
}

// hosts writes an answer as "preference name address", one a line, or the error
// as "status text".
func (b *bench) hosts(hop string) string {
	b.t.Helper()
	h, err := router.ParseHop(hop)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.Hosts(b.t.Context(), h)
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			b.t.Fatalf("%s: %v is no *Error", hop, err)
		}
		if e.Permanent != (e.Status[0] == '5') {
			b.t.Errorf("%s: permanent is %v and the status %s", hop, e.Permanent, e.Status)
		}
		return e.Status + " " + e.Text
	}
	var lines []string
	for _, host := range answer.Hosts {
		lines = append(lines, fmt.Sprintf("%d %s %s", host.Preference, host.Name, host.Addr))
	}
	return strings.Join(lines, "\n")
}

func (b *bench) want(hop string, lines ...string) {
	b.t.Helper()
	if got := b.hosts(hop); got != strings.Join(lines, "\n") {
		b.t.Errorf("%s:\n%s\nwant\n%s", hop, got, strings.Join(lines, "\n"))
	}
}

func (b *bench) wantCause(hop string, cause error) {
	b.t.Helper()
	h, err := router.ParseHop(hop)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.Hosts(b.t.Context(), h); !errors.Is(err, cause) {
		b.t.Errorf("%s: %v, want %v", hop, err, cause)
	}
}

const serviceError = "Host or domain name not found. Name service error for name="

// RFC 5321 section 5.1: hosts are in the order of preference, each with all its addresses.
func TestMXByPreferenceAndAllAddresses(t *testing.T) {
	b := start(t, nil,
		"example.org. 300 IN MX 20 b.example.org.", "example.org. 300 IN MX 10 a.example.org.",
		"a.example.org. 300 IN A 192.0.2.1", "a.example.org. 300 IN AAAA 2001:db8::1",
		"b.example.org. 300 IN A 192.0.2.2")
	b.want("example.org",
		"10 a.example.org [2001:db8::1]:25",
		"10 a.example.org 192.0.2.1:25",
		"20 b.example.org 192.0.2.2:25")
	b.want("Example.ORG.:2525",
		"10 a.example.org [2001:db8::1]:2525",
		"10 a.example.org 192.0.2.1:2525",
		"20 b.example.org 192.0.2.2:2525")
}

// "If there are multiple destinations with the same preference ... the sender-SMTP
// MUST randomize them to spread the load" (RFC 5321 section 5.1).
func TestEqualPreferencesAreRandom(t *testing.T) {
	b := start(t, nil,
		"example.org. 300 IN MX 10 a.example.org.", "example.org. 300 IN MX 10 b.example.org.",
		"example.org. 300 IN MX 10 c.example.org.", "example.org. 300 IN MX 5 first.example.org.",
		"first.example.org. 300 IN A 192.0.2.9",
		"a.example.org. 300 IN A 192.0.2.1", "b.example.org. 300 IN A 192.0.2.2", "c.example.org. 300 IN A 192.0.2.3")
	const rounds = 6000
	orders := make(map[string]int)
	for range rounds {
		answer, err := b.Hosts(t.Context(), router.Hop{Host: "example.org"})
		if err != nil {
			t.Fatal(err)
		}
		var order string
		for _, h := range answer.Hosts {
			order += h.Name[:1]
		}
		orders[order]++
	}
	// Six orders, each about 1000 times; the deviation is 29.
	if len(orders) != 6 {
		t.Errorf("orders: %v", orders)
	}
	for order, n := range orders {
		if order[0] != 'f' || n < 850 || n > 1150 {
			t.Errorf("%s came %d times of %d", order, n, rounds)
		}
	}
}

// A broken IP version must not use up all tries.
func TestFamiliesByTurns(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		var addrs []netip.Addr
		for _, c := range in {
			addrs = append(addrs, map[rune]netip.Addr{'4': netip.MustParseAddr("192.0.2.1"), '6': netip.MustParseAddr("2001:db8::1")}[c])
		}
		byTurns(addrs)
		var got string
		for _, a := range addrs {
			if a.Is4() {
				got += "4"
			} else {
				got += "6"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	f("", "")
	f("4", "4")
	f("444", "444")
	f("66", "66")
	f("4466", "6464")
	f("44446", "64444")
	f("66664", "64666")
	f("446666", "646466")
}

func TestAddressesOfAHostByTurns(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN A 192.0.2.1", "example.org. 300 IN A 192.0.2.2",
		"example.org. 300 IN AAAA 2001:db8::1", "example.org. 300 IN AAAA 2001:db8::2")
	orders := make(map[string]bool)
	for range 100 {
		answer, err := b.Hosts(t.Context(), router.Hop{Host: "example.org"})
		if err != nil || len(answer.Hosts) != 4 {
			t.Fatalf("%+v %v", answer, err)
		}
		for i, h := range answer.Hosts {
			if h.Addr.Addr().Is6() != (i%2 == 0) {
				t.Fatalf("%v", answer.Hosts)
			}
		}
		orders[fmt.Sprint(answer.Hosts)] = true
	}
	if len(orders) != 4 {
		t.Errorf("%d orders of 4", len(orders))
	}
}

func TestFamilies(t *testing.T) {
	records := []string{
		"example.org. 300 IN MX 10 a.example.org.",
		"a.example.org. 300 IN A 192.0.2.1", "a.example.org. 300 IN AAAA 2001:db8::1",
		"four.example. 300 IN A 192.0.2.4",
	}
	b := start(t, func(o *settings) { o.Families = OnlyIPv4 }, records...)
	b.want("example.org", "10 a.example.org 192.0.2.1:25")
	if b.dns.Asked("a.example.org", miekg.TypeAAAA) != 0 {
		t.Error("asked for AAAA all the same")
	}
	b = start(t, func(o *settings) { o.Families = OnlyIPv6 }, records...)
	b.want("example.org", "10 a.example.org [2001:db8::1]:25")
	b.want("four.example", "5.4.4 "+serviceError+"four.example type=AAAA: Host found but no data record of requested type")
	b.want("[192.0.2.7]", "0 192.0.2.7 192.0.2.7:25")
}

// "If an empty list of MXs is returned, the address is treated as if it was
// associated with an implicit MX RR, with a preference of 0" (RFC 5321 section 5.1).
func TestImplicitMX(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN A 192.0.2.1", "empty.example. 300 IN TXT hello")
	b.want("example.org", "0 example.org 192.0.2.1:25")
	b.want("empty.example", "5.4.4 "+serviceError+"empty.example type=A: Host found but no data record of requested type")
	b.wantCause("empty.example", ErrNoAddress)
}

func TestCNAMEs(t *testing.T) {
	records := []string{
		"alias.example. 300 IN CNAME example.org.",
		"example.org. 300 IN MX 10 mx.example.org.",
		"mx.example.org. 300 IN CNAME host.example.net.",
		"host.example.net. 300 IN A 192.0.2.1",
		"round.example. 300 IN CNAME and.example.", "and.example. 300 IN CNAME round.example.",
		"nowhere.example. 300 IN CNAME gone.example.",
	}
	b := start(t, nil, records...)
	b.want("alias.example", "10 mx.example.org 192.0.2.1:25")
	b.want("nowhere.example", "5.1.2 "+serviceError+"nowhere.example type=MX: Host not found")
	b.wantCause("round.example", ErrTemporary)

	// The server's answer ends with a CNAME.
	b = start(t, nil, records...)
	for _, name := range []string{"alias.example", "mx.example.org", "round.example", "and.example"} {
		b.dns.Behave(name, miekg.TypeANY, dnstest.Behaviour{Partial: true})
	}
	b.want("alias.example", "10 mx.example.org 192.0.2.1:25")
	b.wantCause("round.example", ErrTemporary)
}

// RFC 7505.
func TestNullMX(t *testing.T) {
	b := start(t, nil,
		"null.example. 300 IN MX 0 .", "null.example. 300 IN A 192.0.2.1",
		"both.example. 300 IN MX 0 .", "both.example. 300 IN MX 10 mx.both.example.", "mx.both.example. 300 IN A 192.0.2.2")
	b.want("null.example", "5.1.10 Domain null.example does not accept mail (nullMX)")
	b.wantCause("null.example", ErrNullMX)
	b.want("both.example", "10 mx.both.example 192.0.2.2:25")
}

func TestNoDomain(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN A 192.0.2.1")
	b.want("no.example", "5.1.2 "+serviceError+"no.example type=MX: Host not found")
	b.wantCause("no.example", ErrNoDomain)

	// Texts that can't be domains are not looked up.
	before := b.dns.Questions()
	for _, domain := range []string{"", "a..b", "a b.example", "192.0.2.1", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "aa", `a\.b`, "xn--\u00fc\u00fc.example"} {
		_, err := b.Hosts(t.Context(), router.Hop{Host: domain})
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != "5.1.2" || !strings.HasSuffix(e.Text, malformed) {
			t.Errorf("%q: %v", domain, err)
		}
	}
	if b.dns.Questions() != before {
		t.Error("a name that can't be was asked for")
	}
}

func TestHostsWithoutAddress(t *testing.T) {
	b := start(t, nil,
		"gone.example. 300 IN MX 10 gone.invalid.", "gone.example. 300 IN MX 20 also.gone.invalid.",
		"text.example. 300 IN MX 10 only.text.example.", "only.text.example. 300 IN TXT hello",
		"broken.example. 300 IN MX 10 gone.invalid.", "broken.example. 300 IN MX 20 servfail.example.",
		"half.example. 300 IN MX 10 servfail.example.", "half.example. 300 IN MX 20 mx.half.example.", "mx.half.example. 300 IN A 192.0.2.1",
		"literal.example. 300 IN MX 10 192.0.2.1.", "blank.example. 300 IN MX 10 not\\032a\\032host.example.",
		"zero.example. 300 IN MX 10 zero.invalid.", "zero.invalid. 300 IN A 0.0.0.0", "zero.invalid. 300 IN AAAA ::", "zero.invalid. 300 IN A 224.0.0.1")
	b.dns.Behave("servfail.example", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	b.want("gone.example", "5.4.4 "+serviceError+"gone.invalid type=A: Host not found")
	b.want("text.example", "5.4.4 "+serviceError+"only.text.example type=A: Host found but no data record of requested type")
	b.want("broken.example", "4.4.3 "+serviceError+"servfail.example type=A: Host not found, try again")
	b.want("half.example", "20 mx.half.example 192.0.2.1:25")
	b.want("literal.example", "5.4.4 "+serviceError+"literal.example type=MX: Malformed or unexpected name server reply")
	b.want("blank.example", "5.4.4 "+serviceError+"blank.example type=MX: Malformed or unexpected name server reply")
	b.want("zero.example", "5.4.4 "+serviceError+"zero.invalid type=A: Host found but no data record of requested type")
	for _, hop := range []string{"gone.example", "text.example", "literal.example", "zero.example"} {
		b.wantCause(hop, ErrNoAddress)
	}
	b.wantCause("broken.example", ErrTemporary)
}

// A lookup may fail for one IP version and work for the other.
func TestAddressOfOneFamilyFails(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 mx.example.org.", "mx.example.org. 300 IN A 192.0.2.1")
	b.dns.Behave("mx.example.org", miekg.TypeAAAA, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	b.want("example.org", "10 mx.example.org 192.0.2.1:25")
	answer, err := b.Hosts(t.Context(), router.Hop{Host: "example.org"})
	if err != nil || len(answer.Notes) != 1 || !strings.HasSuffix(answer.Notes[0], ": SERVFAIL") {
		t.Errorf("%+v %v", answer, err)
	}
}

// RFC 5321 section 5.1: this host, and hosts with the same preference or a worse one, are
// left out.
func TestOurselves(t *testing.T) {
	ours := netip.MustParseAddrPort("192.0.2.2:25")
	b := start(t, func(o *settings) {
		o.Own = func(a netip.AddrPort) bool { return a == ours }
		o.OwnNames = []string{"US.example"}
	},
		"name.example. 300 IN MX 10 better.example.", "name.example. 300 IN MX 20 us.example.",
		"name.example. 300 IN MX 20 beside.example.", "name.example. 300 IN MX 30 worse.example.",
		"addr.example. 300 IN MX 10 better.example.", "addr.example. 300 IN MX 20 our-other-name.example.",
		"addr.example. 300 IN MX 20 beside.example.", "addr.example. 300 IN MX 30 worse.example.",
		"best.example. 300 IN MX 10 us.example.", "best.example. 300 IN MX 20 worse.example.",
		"only.example. 300 IN MX 10 our-other-name.example.",
		"primary-down.example. 300 IN MX 10 servfail.example.", "primary-down.example. 300 IN MX 20 us.example.",
		"better.example. 300 IN A 192.0.2.1", "beside.example. 300 IN A 192.0.2.3", "worse.example. 300 IN A 192.0.2.4",
		"us.example. 300 IN A 192.0.2.200", "our-other-name.example. 300 IN A 192.0.2.2")
	b.dns.Behave("servfail.example", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	for range 20 { // the order within a preference is random
		b.want("name.example", "10 better.example 192.0.2.1:25")
		b.want("addr.example", "10 better.example 192.0.2.1:25")
	}
	b.want("best.example", "5.4.6 mail for best.example loops back to myself")
	b.want("only.example", "5.4.6 mail for only.example loops back to myself")
	b.want("our-other-name.example", "5.4.6 mail for our-other-name.example loops back to myself")
	b.wantCause("only.example", ErrLoop)
	b.want("primary-down.example", "4.4.3 "+serviceError+"servfail.example type=A: Host not found, try again")
	// At another port another server listens.
	b.want("[us.example]:2525", "0 us.example 192.0.2.200:2525")
	b.want("[our-other-name.example]:2525", "0 our-other-name.example 192.0.2.2:2525")
	b.want("us.example:2525", "0 us.example 192.0.2.200:2525")
	// Mail for a next hop that the operator named waits.
	b.want("[192.0.2.2]", "4.3.5 mail for 192.0.2.2 loops back to myself")
}

func TestByHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	text := "# comment\n127.0.0.1 localhost sink # here\n::1 localhost\nnonsense\n10.0.0.9\n10.0.0.5 SMART.example.net\n300.1.1.1 bad\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := start(t, func(o *settings) { o.HostsFile, o.Private = file, loopback },
		"relay.example. 300 IN MX 10 elsewhere.example.", "relay.example. 300 IN A 192.0.2.1",
		"smart.example.net. 300 IN A 192.0.2.9", "mx.example. 300 IN MX 10 smart.example.net.")
	b.want("[192.0.2.1]", "0 192.0.2.1 192.0.2.1:25")
	b.want("[::1]:2525", "0 ::1 [::1]:2525")
	b.want("[localhost]:2525", "0 localhost [::1]:2525", "0 localhost 127.0.0.1:2525")
	b.want("localhost:2525", "0 localhost [::1]:2525", "0 localhost 127.0.0.1:2525")
	b.want("sink", "0 sink 127.0.0.1:25")
	b.want("[smart.example.net]", "0 smart.example.net 10.0.0.5:25")
	if n := b.dns.Questions(); n != 0 {
		t.Errorf("%d questions to DNS for what the file knows", n)
	}
	b.want("[relay.example]", "0 relay.example 192.0.2.1:25")
	if b.dns.Asked("relay.example", miekg.TypeMX) != 0 {
		t.Error("the MX was asked for")
	}
	b.want("mx.example", "10 smart.example.net 192.0.2.9:25") // the file does not count for MX hosts
	b.want("[gone.example]", "4.3.5 "+serviceError+"gone.example type=A: Host not found")
	b.want("[0.0.0.0]", "4.3.5 "+serviceError+"0.0.0.0 type=A: Host found but no data record of requested type")
	// The file is read again when it has changed.
	if err := os.WriteFile(file, []byte("127.0.0.9 sink\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	b.want("sink", "0 sink 127.0.0.9:25")
}

// A smarthost on this machine needs neither DNS nor files.
func TestLocalhostWithoutFiles(t *testing.T) {
	b := start(t, func(o *settings) { o.Families = OnlyIPv4 })
	b.want("[localhost]:2525", "0 localhost 127.0.0.1:2525")
}

func TestRefused(t *testing.T) {
	b := start(t, nil)
	f := func(hop, want string) {
		t.Helper()
		b.want(hop, want)
		b.wantCause(hop, ErrRefused)
	}
	f("error:no mail for them", "5.0.0 no mail for them")
	f("error:5.7.1 closed", "5.7.1 closed")
	f("error:4.7.1 closed", "5.0.0 4.7.1 closed")
	f("error:5.7.1x closed", "5.0.0 5.7.1x closed")
	f("error:", "5.0.0 a transport rule refuses mail for this domain")
}

// RFC 5890: U-labels are looked up as A-labels.
func TestIDN(t *testing.T) {
	b := start(t, nil, "xn--bcher-kva.example. 300 IN MX 10 mx.xn--bcher-kva.example.", "mx.xn--bcher-kva.example. 300 IN A 192.0.2.1")
	want := "10 mx.xn--bcher-kva.example 192.0.2.1:25"
	b.want("bücher.example", want)
	b.want("BÜCHER.example", want)
	b.want("xn--bcher-kva.example", want)
	b.want("bücher.none.example", "5.1.2 "+serviceError+"xn--bcher-kva.none.example type=MX: Host not found")
}

// A caller that gives up gets its context's error. The answer is kept for the next caller.
func TestCallerGivesUp(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 mx.example.org.", "mx.example.org. 300 IN A 192.0.2.1")
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Delay: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Hosts(ctx, router.Hop{Host: "example.org"})
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.Canceled) || e.Permanent {
		t.Errorf("%v", err)
	}
	b.want("example.org", "10 mx.example.org 192.0.2.1:25")
	if n := b.dns.Asked("example.org", miekg.TypeMX); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// The questions about a domain's MX hosts are bounded.
func TestManyExchangers(t *testing.T) {
	var records []string
	for i := range 60 {
		records = append(records, fmt.Sprintf("example.org. 300 IN MX %d mx%d.example.org.", i, i), fmt.Sprintf("mx%d.example.org. 300 IN A 192.0.2.%d", i, i))
	}
	b := start(t, nil, records...)
	got := strings.Split(b.hosts("example.org"), "\n")
	if len(got) != maxExchangers || got[0] != "0 mx0.example.org 192.0.2.0:25" || got[19] != "19 mx19.example.org 192.0.2.19:25" {
		t.Errorf("%q", got)
	}
	if b.dns.OverTCP() != 1 {
		t.Errorf("%d questions over TCP", b.dns.OverTCP())
	}
}

func TestSameAddressOnce(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 a.example.org.", "example.org. 300 IN MX 20 b.example.org.",
		"a.example.org. 300 IN A 192.0.2.1", "b.example.org. 300 IN A 192.0.2.1", "b.example.org. 300 IN A 192.0.2.2")
	b.want("example.org", "10 a.example.org 192.0.2.1:25", "20 b.example.org 192.0.2.2:25")
}

// The same question from many goroutines is sent once.
func TestQuestionsAreShared(t *testing.T) {
	b := start(t, func(o *settings) { o.Shuffle = nil }, "example.org. 300 IN MX 10 mx.example.org.", "mx.example.org. 300 IN A 192.0.2.1")
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Delay: 50 * time.Millisecond})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { b.want("example.org", "10 mx.example.org 192.0.2.1:25") })
	}
	all.Wait()
	for _, q := range []struct {
		name  string
		qtype uint16
	}{{"example.org", miekg.TypeMX}, {"mx.example.org", miekg.TypeA}, {"mx.example.org", miekg.TypeAAAA}} {
		if n := b.dns.Asked(q.name, q.qtype); n != 1 {
			t.Errorf("%s type=%s: asked %d times", q.name, miekg.TypeToString[q.qtype], n)
		}
	}
}

func TestExplain(t *testing.T) {
	b := start(t, func(o *settings) { o.OwnNames = []string{"us.example"} },
		"example.org. 300 IN MX 10 mx.example.org.", "example.org. 300 IN MX 100 192.0.2.1.",
		"example.org. 300 IN MX 50 us.example.",
		"mx.example.org. 300 IN A 192.0.2.1", "mx.example.org. 300 IN AAAA 2001:db8::1")
	f := func(hop string, want ...string) {
		t.Helper()
		h, err := router.ParseHop(hop)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(b.Explain(t.Context(), h).String(), "\n"), "\n")
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f("example.org",
		"next hop example.org, by MX",
		"  host mx.example.org [2001:db8::1]:25 MX=10",
		"  host mx.example.org [192.0.2.1]:25   MX=10",
		"  note: MX 192.0.2.1 is not a host name: skipped",
		"  note: us.example, preference 50, is this host: hosts with this preference and above are left out")
	f("[192.0.2.1]:26", "next hop [192.0.2.1]:26, by host", "  host 192.0.2.1 [192.0.2.1]:26")
	f("no.example", "next hop no.example, by MX", "  returned: 5.1.2 "+serviceError+"no.example type=MX: Host not found")
	f("[no.example]", "next hop [no.example], by host", "  deferred: 4.3.5 "+serviceError+"no.example type=A: Host not found",
		"  note: no.example has no address: skipped",
		"  note: the configuration names the next hop: mail waits until the configuration is corrected")
	f("error:5.7.1 no", "next hop error:5.7.1 no, refused", "  returned: 5.7.1 no")
}

// BenchmarkHosts finds two mail hosts with two addresses each, in the cache.
func BenchmarkHosts(b *testing.B) {
	r := start(b, func(o *settings) { o.Shuffle = nil },
		"example.org. 300 IN MX 10 a.example.org.", "example.org. 300 IN MX 10 b.example.org.",
		"a.example.org. 300 IN A 192.0.2.1", "a.example.org. 300 IN AAAA 2001:db8::1",
		"b.example.org. 300 IN A 192.0.2.2", "b.example.org. 300 IN AAAA 2001:db8::2")
	b.ReportAllocs()
	for b.Loop() {
		if answer, err := r.Hosts(b.Context(), router.Hop{Host: "example.org"}); err != nil || len(answer.Hosts) != 4 {
			b.Fatal(err)
		}
	}
}
