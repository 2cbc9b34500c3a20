package dns

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"postrider/engine/edge/dns/dnstest"
)

// hang is how long a test waits before it fails.
const hang = 30 * time.Second

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// Strangers' questions to silent servers are few at once, with any number of questions and
// domains, and take no slots from the relay.
func TestStrangersHaveSlotsOfTheirOwn(t *testing.T) {
	b := start(t, func(o *Options) { o.Timeout, o.Attempts = 10*time.Minute, 1 }, "ours.test. 300 IN MX 10 mx.ours.test.", "mx.ours.test. 300 IN A 192.0.2.1", "other.test. 300 IN TXT there")
	ctx, cancel := context.WithCancel(ForStranger(t.Context(), NewBudget(10_000)))
	var all sync.WaitGroup
	ask := func(domain string, n int) {
		for i := range n {
			name := fmt.Sprintf("d%d.%s", i, domain)
			b.dns.Behave(name, miekg.TypeANY, dnstest.Behaviour{Silent: true})
			all.Go(func() { _, _ = b.LookupTXT(ctx, name) })
		}
	}
	ask("slow.test", 300)
	eventually(t, "no question came", func() bool { return b.dns.Questions() >= strangerOfDomain })
	if texts, err := b.LookupTXT(ctx, "other.test"); err != nil || texts[0] != "there" {
		t.Errorf("another stranger: %v, %v", texts, err) // the slots of slow.test only are taken
	}
	for i := range 20 {
		ask(fmt.Sprintf("slow%d.test", i), 20)
	}
	eventually(t, "not all slots are used", func() bool { return len(b.stranger.all) == strangerSlots })
	b.want("ours.test", TypeMX, "10 mx.ours.test")
	if n := b.dns.Questions(); n > strangerSlots+10 {
		t.Errorf("%d questions are under way", n)
	}
	// Lookups that wait for a slot end with their context, and their questions are not sent.
	cancel()
	all.Wait()
	eventually(t, "some wait that have left", func() bool {
		s := b.stranger
		s.mu.Lock()
		defer s.mu.Unlock()
		users := 0
		for _, d := range s.domains {
			users += d.users
		}
		return users == len(s.all)
	})
	if n := b.dns.Questions(); n > strangerSlots+10 { // out of 700
		t.Errorf("%d questions after all had left", n)
	}
}

// Our own questions about one domain don't take all slots either.
func TestOneDomainHasFewSlots(t *testing.T) {
	s := newSlots(4, 2)
	var ends []func()
	for range 2 {
		end, err := s.take(t.Context(), "a.example.org.")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"b.example.org.", "EXAMPLE.org", "a.example.org."} {
		if _, err := s.take(ctx, strings.ToLower(name)); err == nil {
			t.Errorf("a third slot for %s", name)
		}
	}
	for _, name := range []string{"a.example.co.uk.", "a.other.co.uk."} {
		end, err := s.take(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	if _, err := s.take(ctx, "third.test."); err == nil {
		t.Error("a fifth slot")
	}
	for _, end := range ends {
		end()
	}
	if len(s.domains) != 0 || len(s.all) != 0 {
		t.Errorf("%d domains are kept, %d slots are taken", len(s.domains), len(s.all))
	}
}

func TestBudget(t *testing.T) {
	b := start(t, nil, "*.many.test. 300 IN TXT there")
	budget := NewBudget(3)
	ctx := ForStranger(t.Context(), budget)
	for range 3 { // answers from the cache cost nothing
		for i := range 3 {
			if _, err := b.LookupTXT(ctx, fmt.Sprintf("t%d.many.test", i)); err != nil {
				t.Error(err)
			}
		}
	}
	if budget.Spent() || budget.Asked() != 3 {
		t.Errorf("%d asked", budget.Asked())
	}
	for range 2 {
		_, err := b.LookupTXT(ctx, "t4.many.test")
		if e, ok := err.(*net.DNSError); !ok || !e.IsTemporary || !budget.Spent() || budget.Asked() != 3 {
			t.Errorf("over the budget: %v, %d asked", err, budget.Asked())
		}
	}
	if _, err := b.LookupTXT(t.Context(), "t4.many.test"); err != nil {
		t.Errorf("our own: %v", err)
	}
	if n := b.dns.Questions(); n != 4 {
		t.Errorf("%d questions", n)
	}
}

// The cache stays within its octets, whatever the answers are, and its count is about what
// it takes in memory.
func TestCacheIsBoundedInOctets(t *testing.T) {
	const most = 4 << 20
	asked := func(i int) question {
		return question{fmt.Sprintf("%s%d.example.", strings.Repeat("a", 100), i), 16}
	}
	for what, record := range map[string]func(i int) *Records{
		"large texts": func(i int) *Records { return &Records{Texts: []string{strings.Repeat("x", maxText-i%100)}} },
		"many texts": func(int) *Records {
			rec := new(Records)
			for i := range maxRecords {
				rec.Texts = append(rec.Texts, strings.Repeat("x", i))
			}
			return rec
		},
		"names": func(i int) *Records {
			return &Records{Names: []string{fmt.Sprint(strings.Repeat("n", 240), i)}}
		},
		"nothing": func(int) *Records { return &Records{Outcome: NoName} },
	} {
		heap := func() int64 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc)
		}
		before := heap()
		c := newCache(20_000, most)
		for i := range 30_000 {
			if i > 2000 && c.octets > most/2 && c.entries.Len() < 1000 {
				break // full since long
			}
			c.put(asked(i), record(i), time.Now().Add(time.Hour))
			if c.octets > most || c.entries.Len() > 20_000 {
				t.Fatalf("%s: %d octets, %d entries", what, c.octets, c.entries.Len())
			}
		}
		if took := heap() - before; took > most*3/2 {
			t.Errorf("%s: %d octets, counted %d", what, took, c.octets)
		}
		sum := 0
		for i := range 30_000 {
			e, _ := c.entries.Get(asked(i))
			sum += e.octets
		}
		if sum != c.octets || c.entries.Len() < 100 {
			t.Errorf("%s: counted %d, it is %d, in %d entries", what, c.octets, sum, c.entries.Len())
		}
		runtime.KeepAlive(c)
	}
	c := newCache(10, most)
	c.put(question{"a.", 16}, &Records{Texts: []string{strings.Repeat("x", most/4)}}, time.Now().Add(time.Hour))
	if c.size() != 0 || c.octets != 0 {
		t.Error("an answer of a quarter of the cache was kept")
	}
}
