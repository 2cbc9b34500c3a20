package dns

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

// bench is a Resolver with a name server of its own and a clock that the test sets.
type bench struct {
	t   testing.TB
	dns *dnstest.Server
	now time.Time
	*Resolver
}

// start makes a bench. change may change the options.
func start(t testing.TB, change func(*Options), records ...string) *bench {
	t.Helper()
	b := &bench{t: t, dns: dnstest.Start(t, records...), now: time.Unix(1e9, 0)}
	o := Options{
		Servers:    []string{b.dns.Addr()},
		ResolvConf: filepath.Join(t.TempDir(), "none"),
		HostsFile:  filepath.Join(t.TempDir(), "none"),
		Timeout:    5 * time.Second,
		Now:        func() time.Time { return b.now },
	}
	if change != nil {
		change(&o)
	}
	b.Resolver = New(o)
	return b
}

// ask writes an answer's records, one a line, or why there are none.
func (b *bench) ask(domain string, qtype uint16) string {
	b.t.Helper()
	name, ok := FQDN(domain)
	if !ok {
		b.t.Fatalf("%q is no domain", domain)
	}
	rec := b.Ask(b.t.Context(), name, qtype)
	switch rec.Outcome {
	case NoData:
		return "no data"
	case NoName:
		return "no such name"
	case Failed:
		return "failed: " + rec.Why
	}
	var lines []string
	for _, x := range rec.MX {
		lines = append(lines, fmt.Sprintf("%d %s", x.Preference, x.Name))
	}
	for _, a := range rec.Addrs {
		lines = append(lines, a.String())
	}
	return strings.Join(lines, "\n")
}

func (b *bench) want(domain string, qtype uint16, lines ...string) {
	b.t.Helper()
	if got := b.ask(domain, qtype); got != strings.Join(lines, "\n") {
		b.t.Errorf("%s:\n%s\nwant\n%s", domain, got, strings.Join(lines, "\n"))
	}
}

func (b *bench) wantFailed(domain string) {
	b.t.Helper()
	if got := b.ask(domain, TypeMX); !strings.HasPrefix(got, "failed: ") {
		b.t.Errorf("%s: %s", domain, got)
	}
}

func TestOutcomes(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 20 b.example.org.", "example.org. 300 IN MX 10 A.Example.org.",
		"a.example.org. 300 IN A 192.0.2.1", "a.example.org. 300 IN AAAA 2001:db8::1", "null.example. 300 IN MX 0 .")
	b.want("Example.ORG.", TypeMX, "10 a.example.org", "20 b.example.org")
	b.want("a.example.org", TypeA, "192.0.2.1")
	b.want("a.example.org", TypeAAAA, "2001:db8::1")
	b.want("a.example.org", TypeMX, "no data")
	b.want("c.example.org", TypeA, "no such name")
	b.want("null.example", TypeMX, "0 ")
}

func TestAliases(t *testing.T) {
	records := []string{
		"alias.example. 300 IN CNAME example.org.",
		"example.org. 300 IN MX 10 mx.example.org.",
		"round.example. 300 IN CNAME and.example.", "and.example. 300 IN CNAME round.example.",
		"nowhere.example. 300 IN CNAME gone.example.",
	}
	b := start(t, nil, records...)
	b.want("alias.example", TypeMX, "10 mx.example.org")
	b.want("nowhere.example", TypeMX, "no such name")
	b.wantFailed("round.example")

	// A server that leaves the rest of the chain to us.
	b = start(t, nil, records...)
	for _, name := range []string{"alias.example", "round.example", "and.example"} {
		b.dns.Behave(name, miekg.TypeANY, dnstest.Behaviour{Partial: true})
	}
	b.want("alias.example", TypeMX, "10 mx.example.org")
	b.wantFailed("round.example")
}

// RFC 5890: questions have A-labels for U-labels. A text that can't be a domain is not asked.
func TestFQDN(t *testing.T) {
	f := func(domain, want string) {
		t.Helper()
		if got, ok := FQDN(domain); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", domain, got, ok)
		}
	}
	f("Example.org", "example.org.")
	f("example.org.", "example.org.")
	f("bücher.example", "xn--bcher-kva.example.")
	f("BÜCHER.example", "xn--bcher-kva.example.")
	f("_x.example", "_x.example.")
	for _, domain := range []string{"", "a..b", "a b.example", "192.0.2.1", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "aa", `a\.b`, "xn--\u00fc\u00fc.example"} {
		f(domain, "")
	}
}

// The same question from many goroutines is sent once. A goroutine that gives up does not
// end it.
func TestQuestionsAreAskedOnce(t *testing.T) {
	b := start(t, nil, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Delay: 50 * time.Millisecond})
	gone, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { b.want("example.org", TypeMX, mxAnswer) })
	}
	cancel()
	if rec := b.Ask(gone, "example.org.", TypeMX); rec.Outcome == Failed && rec.Why != context.Canceled.Error() {
		t.Errorf("the caller that gave up: %q", rec.Why)
	}
	all.Wait()
	if n := b.dns.Asked("example.org", miekg.TypeMX); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if b.Cached("example.org.", TypeMX) == nil || b.Cached("example.org.", TypeA) != nil {
		t.Error("the cache has not what was asked")
	}
}

// Other name servers are asked at once. What the servers before have answered is forgotten,
// and an answer of theirs that comes late is for those alone that had asked them.
func TestConfigure(t *testing.T) {
	b := start(t, nil, "example.org. 300 IN MX 10 old.example.org.")
	b.want("example.org", TypeMX, "10 old.example.org")
	next := dnstest.Start(t, "example.org. 300 IN MX 10 new.example.org.", "late.example. 300 IN MX 10 new.example.org.")
	b.Configure([]string{b.dns.Addr()}, "") // as it was
	asked := b.dns.Questions()
	if b.want("example.org", TypeMX, "10 old.example.org"); b.dns.Questions() != asked {
		t.Error("the cache is empty after a change of nothing")
	}
	// A question to the old server is open, whose answer gets into no cache that is used.
	b.dns.Behave("late.example", miekg.TypeMX, dnstest.Behaviour{Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	var waits sync.WaitGroup
	waits.Go(func() { b.Ask(ctx, "late.example.", TypeMX) })
	for b.dns.Asked("late.example", miekg.TypeMX) == 0 {
		time.Sleep(time.Millisecond)
	}
	b.Configure([]string{next.Addr()}, DNSSECOn)
	b.want("example.org", TypeMX, "10 new.example.org")
	b.want("late.example", TypeMX, "10 new.example.org")
	if got := strings.Join(b.Servers(), " "); got != next.Addr() || b.DNSSEC() != DNSSECOn {
		t.Errorf("%s, %s", got, b.DNSSEC())
	}
	cancel()
	waits.Wait()
}
