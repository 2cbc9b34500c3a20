package dns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

// asked returns how often the question for a domain's MX was sent: at once, and after each
// span.
func (b *bench) asked(domain string, spans ...time.Duration) (counts []int) {
	b.t.Helper()
	for _, span := range append([]time.Duration{0}, spans...) {
		b.now = b.now.Add(span)
		b.ask(domain, TypeMX)
		counts = append(counts, b.dns.Asked(domain, miekg.TypeMX))
	}
	return counts
}

// Answers are kept for their TTL within bounds, negative answers by RFC 2308.
func TestTTL(t *testing.T) {
	f := func(domain string, kept time.Duration, change func(*dnstest.Server), records ...string) {
		t.Helper()
		b := start(t, nil, append(records, "soa.example. 60 IN SOA ns. root. 1 1 1 1 42", "short.example. 3 IN SOA ns. root. 1 1 1 1 3600",
			"long.example. 86400 IN SOA ns. root. 1 1 1 1 86400")...)
		if change != nil {
			change(b.dns)
		}
		if got := b.asked(domain, kept-time.Nanosecond, time.Nanosecond); !slices.Equal(got, []int{1, 1, 2}) {
			t.Errorf("%s: not kept for %v: asked %v", domain, kept, got)
		}
	}
	mx := func(ttl int) string { return fmt.Sprintf("example.org. %d IN MX 10 192.0.2.1.", ttl) }
	f("example.org", 300*time.Second, nil, mx(300))
	f("example.org", time.Second, nil, mx(0))
	f("example.org", time.Hour, nil, mx(1<<31-1))
	f("alias.example", 60*time.Second, nil, mx(300), "alias.example. 60 IN CNAME example.org.")
	f("alias.example", 60*time.Second, nil, mx(60), "alias.example. 300 IN CNAME example.org.")
	f("no.soa.example", 42*time.Second, nil)
	f("soa.example", 42*time.Second, nil) // there, but without MX
	f("no.short.example", 5*time.Second, nil)
	f("no.long.example", 15*time.Minute, nil)
	f("fails.example", 10*time.Second, func(s *dnstest.Server) {
		s.Behave("fails.example", miekg.TypeANY, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	})
}

// A domain whose servers answer again is found once the failure has expired.
func TestRecovery(t *testing.T) {
	b := start(t, nil, mxAndHost...)
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{Rcode: miekg.RcodeServerFailure})
	b.wantFailed("example.org")
	b.dns.Behave("example.org", miekg.TypeMX, dnstest.Behaviour{})
	b.wantFailed("example.org")
	b.now = b.now.Add(failureTTL)
	b.want("example.org", TypeMX, mxAnswer)
	// A changed record is found once the old one has expired.
	if err := b.dns.Set("example.org", "example.org. 300 IN MX 7 other.example.org."); err != nil {
		t.Fatal(err)
	}
	b.want("example.org", TypeMX, mxAnswer)
	b.now = b.now.Add(300 * time.Second)
	b.want("example.org", TypeMX, "7 other.example.org")
}

func TestCacheIsBounded(t *testing.T) {
	b := start(t, func(o *Options) { o.CacheSize = 10 }, "*.example.org. 300 IN MX 10 192.0.2.1.")
	for i := range 100 {
		b.ask(fmt.Sprintf("d%d.example.org", i), TypeMX)
		if n := b.source.Load().cache.size(); n > 10 {
			t.Fatalf("%d entries", n)
		}
	}
	if n := b.source.Load().cache.size(); n != 10 {
		t.Errorf("%d entries", n)
	}
}

// The cache removes first what expires first, within its sample.
func TestEvictionPrefersWhatEndsFirst(t *testing.T) {
	c := newCache(200, 1<<20)
	now := time.Unix(1e9, 0)
	for i := range 100 {
		c.put(question{fmt.Sprint("old", i), 1}, new(Records), now.Add(time.Second))
		c.put(question{fmt.Sprint("new", i), 1}, new(Records), now.Add(time.Hour))
	}
	for i := range 50 {
		c.put(question{fmt.Sprint("late", i), 1}, new(Records), now.Add(time.Hour))
	}
	left := 0
	for i := range 100 {
		for _, name := range []string{fmt.Sprint("new", i), fmt.Sprint("late", i)} {
			if _, ok := c.entries.Get(question{name, 1}); ok {
				left++
			}
		}
	}
	// At random it would be 125 of 150.
	if left < 140 {
		t.Errorf("%d of 150 that end late are left", left)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	c := newCache(10, 1<<20)
	now := time.Unix(1e9, 0)
	c.put(question{"example.org.", miekg.TypeMX}, new(Records), now.Add(time.Hour))
	name := strings.Clone("example.org.")
	if n := testing.AllocsPerRun(100, func() {
		if c.get(question{name, miekg.TypeMX}, now) == nil {
			t.Error("not there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := newCache(20_000, 64<<20)
	now := time.Unix(1e9, 0)
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprintf("domain%d.example.", i)
		c.put(question{names[i], miekg.TypeMX}, new(Records), now.Add(time.Hour))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.get(question{names[i%len(names)], miekg.TypeMX}, now)
		}
	})
}

// A full cache removes one answer for each new one.
func BenchmarkCachePut(b *testing.B) {
	c := newCache(20_000, 64<<20)
	now := time.Unix(1e9, 0)
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("domain%d.example.", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.put(question{names[i%len(names)], miekg.TypeMX}, new(Records), now.Add(time.Duration(i%3600)*time.Second))
	}
}

// size is how many entries there are, including expired ones.
func (c *cache) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries.Len()
}
