package limit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestParseRate(t *testing.T) {
	for _, s := range []string{"", "30/1m0s", "1/24h0m0s"} {
		if r, err := ParseRate(s); err != nil || r.String() != s {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
	for _, s := range []string{"30", "0/1m", "-1/1m", "x/1m", "30/1", "30/", "30/0s", "30/25h", "/1m"} {
		if r, err := ParseRate(s); err == nil || r != (Rate{}) {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
}

func TestAddressesOfOneClient(t *testing.T) {
	f := func(ip, client, customer, network string) {
		t.Helper()
		if a, b, c := Client(addr(ip)), Customer(addr(ip)), Network(addr(ip)); a.String() != client || b.String() != customer || c.String() != network {
			t.Errorf("%s: %s of %s in %s", ip, a, b, c)
		}
	}
	f("192.0.2.7", "192.0.2.7/32", "192.0.2.0/24", "192.0.2.0/24")
	f("::ffff:192.0.2.7", "192.0.2.7/32", "192.0.2.0/24", "192.0.2.0/24")
	f("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1:2::/64", "2001:db8:1::/48")
	f("fe80::1%eth0", "fe80::/64", "fe80::/64", "fe80::/48")
	if c := Client(netip.Addr{}); c != (netip.Prefix{}) {
		t.Errorf("no address: %s", c)
	}
}

func TestBuckets(t *testing.T) {
	r := NewBuckets[netip.Prefix](Rate{3, time.Minute}, 100)
	a, b := Client(addr("192.0.2.1")), Client(addr("192.0.2.2"))
	at := func(after time.Duration, who netip.Prefix, want bool) {
		t.Helper()
		if got := r.Take(who, start.Add(after)); got != want {
			t.Errorf("%v: %s: %v", after, who, got)
		}
	}
	at(0, a, true)
	at(0, a, true)
	at(0, a, true)
	at(0, a, false)
	at(0, b, true)
	at(19*time.Second, a, false)
	at(20*time.Second, a, true) // a third of the minute is a token
	at(20*time.Second, a, false)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, true)
	at(10*time.Minute, a, false) // the bucket holds no more than three
	at(9*time.Minute, b, true)

	free := NewBuckets[netip.Prefix](Rate{}, 1)
	for range 1000 {
		if !free.Take(a, start) {
			t.Fatal("a limit where there is none")
		}
	}
}

func TestBucketsStayInBounds(t *testing.T) {
	r := NewBuckets[netip.Prefix](Rate{2, time.Hour}, 50)
	busy := Client(addr("198.51.100.1"))
	r.Take(busy, start)
	r.Take(busy, start)
	for i := range 5000 {
		r.Take(Client(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), start.Add(time.Duration(i)*time.Millisecond))
		if r.Len() > 50 {
			t.Fatalf("%d buckets", r.Len())
		}
	}
	if r.Take(busy, start.Add(5*time.Second)) {
		t.Error("the bucket that matters most was forgotten")
	}
}

// Owe takes more tokens than there are, but never more than one bucket of debt.
func TestBucketsOwe(t *testing.T) {
	r := NewBuckets[netip.Prefix](Rate{10, time.Minute}, 100)
	a, b := Client(addr("192.0.2.1")), Client(addr("192.0.2.2"))
	has := func(after time.Duration, who netip.Prefix, want bool) {
		t.Helper()
		if got := r.Has(who, start.Add(after)); got != want {
			t.Errorf("%v: %s: %v", after, who, got)
		}
	}
	has(0, a, true)
	r.Owe(a, 9, start)
	has(0, a, true)
	r.Owe(a, 1, start)
	has(0, a, false)
	has(0, b, true)
	has(6*time.Second, a, true)
	r.Owe(a, 1_000_000_000, start)
	r.Owe(a, 0, start)
	has(66*time.Second, a, true) // two buckets, less one token
	has(65*time.Second, a, false)
	if (NewBuckets[netip.Prefix](Rate{}, 1)).Has(a, start) != true {
		t.Error("no limit is one")
	}
	for i := range 1000 {
		r.Owe(Client(netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})), 5, start)
	}
	if r.Len() > 100 {
		t.Errorf("%d buckets are kept", r.Len())
	}
}

// Give undoes Take and Add.
func TestGive(t *testing.T) {
	r := NewBuckets[string](Rate{3, 30 * time.Second}, 100)
	used := func(want float64, after time.Duration) {
		t.Helper()
		if got := r.Used("a", start.Add(after)); got != want {
			t.Errorf("after %v %v tokens are missing, want %v", after, got, want)
		}
	}
	r.Give("a", 1, start) // nothing was taken
	for range 3 {
		r.Take("a", start)
	}
	used(3, 0)
	r.Give("a", 1, start)
	used(2, 0)
	used(1.5, 5*time.Second)
	if !r.Take("a", start) || r.Take("a", start) {
		t.Error("one token was given back, and no more")
	}
	for range 10 {
		r.Give("a", 1, start)
	}
	if r.Len() != 0 {
		t.Error("a full bucket is kept")
	}
	for range 3 {
		if !r.Take("a", start) {
			t.Error("no token")
		}
	}
	if r.Take("a", start) {
		t.Error("tokens given back more often than taken make the bucket larger")
	}
	r.Add("b", 40.5, start)
	if got := r.Used("b", start); got != 40.5 {
		t.Errorf("%v tokens are missing", got)
	}
	none := NewBuckets[string](Rate{}, 100)
	none.Owe("a", 3, start)
	none.Take("a", start)
	if none.Give("a", 1, start); none.Used("a", start) != 0 || none.Len() != 0 {
		t.Error("no limit keeps something")
	}
}

// A Bucket agrees with a bucket that counts tokens as a fraction, at any times.
func TestBucketIsATokenBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, r := range []Rate{{1, time.Second}, {10, time.Second}, {4, time.Minute}, {50, time.Second}} {
		var b Bucket
		tokens, at, now := float64(r.Count), start, start
		for i := range 10_000 {
			now = now.Add(time.Duration(random.IntN(int(2 * r.each()))))
			tokens, at = min(float64(r.Count), tokens+float64(now.Sub(at))/float64(r.each())), now
			missing := float64(r.Count) - tokens
			if used := b.Used(r, now); used < missing-1e-6 || used > missing+1e-6 {
				t.Fatalf("%v, step %d: %v tokens are missing, not %v", r, i, used, missing)
			}
			want := tokens >= 1
			if has := b.Has(r, now); has != want || b.Take(r, now) != has {
				t.Fatalf("%v, step %d: %v with %v tokens", r, i, has, tokens)
			}
			if want {
				tokens--
			}
		}
	}
}

// A full Map forgets the first entry in a sample, and the expired ones in it.
func TestMapForgetsBySample(t *testing.T) {
	const size = 1000
	over := func(v int, now time.Time) bool { return v < int(now.Unix()) }
	m := NewMap[string](size, func(a, b int) bool { return a < b }, over)
	zero := time.Unix(0, 0)
	for i := range size {
		m.Set(fmt.Sprint(i), 1+i, zero)
	}
	for i := range size {
		m.Set(fmt.Sprint(size+i), 1+size+i, zero)
		if m.Len() != size {
			t.Fatalf("%d entries", m.Len())
		}
	}
	late := 0
	for _, v := range m.of {
		if v > size {
			late++
		}
	}
	if late < size*8/10 {
		t.Errorf("%d of %d that matter more are left", late, size)
	}
	m.Set("2000", 5, zero) // it is new
	m.Set("2000", 6, zero)
	if v, ok := m.Get("2000"); v != 6 || !ok || m.Len() != size {
		t.Errorf("%d, %v, %d entries", v, ok, m.Len())
	}
	// All entries have expired: a whole sample goes at once.
	if _, ok := m.Evict(time.Unix(1e6, 0)); !ok || m.Len() != size-sample {
		t.Errorf("%d entries", m.Len())
	}
	m.Delete("2000")
	if _, ok := m.Get("2000"); ok {
		t.Error("deleted and there")
	}
	var empty Map[int, int]
	if _, ok := empty.Evict(zero); ok {
		t.Error("something was in an empty map")
	}
}

// The calls that each connection and each message make allocate nothing.
func TestHotPathsAllocateNothing(t *testing.T) {
	r := NewBuckets[netip.Prefix](Rate{1 << 30, time.Hour}, 100)
	r.Take(Client(addr("192.0.2.1")), start)
	six := addr("2001:db8::1")
	if n := testing.AllocsPerRun(1000, func() {
		r.Take(Client(addr("192.0.2.1")), start)
		r.Has(Network(six), start)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkTake takes tokens for a known client.
func BenchmarkTake(b *testing.B) {
	r := NewBuckets[netip.Prefix](Rate{1 << 40, time.Hour}, 100_000)
	ips := make([]netip.Addr, 1<<16)
	for i := range ips {
		ips[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		r.Take(Client(ips[i]), start)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Take(Client(ips[i%len(ips)]), start)
	}
}

// BenchmarkTakeEvicts takes tokens for new clients, in a full Map.
func BenchmarkTakeEvicts(b *testing.B) {
	r := NewBuckets[netip.Prefix](Rate{10, time.Hour}, 10_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Take(Client(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})), start.Add(time.Duration(i)))
	}
}
