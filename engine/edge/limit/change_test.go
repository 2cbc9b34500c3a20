package limit

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gap is a lock whose Unlock lets others do something, as other goroutines would.
type gap struct {
	sync.Mutex
	others func()
}

func (g *gap) Unlock() {
	g.Mutex.Unlock()
	if g.others != nil {
		g.Mutex.Lock()
		g.others()
		g.Mutex.Unlock()
	}
}

// A Change has the lock for a few entries at a time, however many there are.
func TestMapChangeHoldsTheLockForFewEntries(t *testing.T) {
	now := time.Unix(0, 0)
	for _, bound := range []int{1 << 17, 1000, 1} {
		m := NewMap[int](1<<17, func(a, b int) bool { return a < b }, nil)
		for i := range 100_000 {
			m.Set(i, i, now)
		}
		held, most := 0, 0
		lock := &gap{others: func() { held = 0 }}
		lock.Lock()
		m.Change(bound, func(v int) (int, bool) { held++; most = max(most, held); return v, true }, now, lock)
		lock.Mutex.Unlock()
		if most != changeStep {
			t.Errorf("%d entries were changed at once, want %d", most, changeStep)
		}
		if want := min(bound, 100_000); m.Len() != want {
			t.Errorf("%d entries are left, want %d", m.Len(), want)
		}
	}
}

// Whatever others do while entries are changed, they see each entry as it is after the change,
// and what they set and delete counts.
func TestMapChangeAgainstAPlainMap(t *testing.T) {
	now := time.Unix(0, 0)
	double := func(v int) (int, bool) { return 2 * v, v%7 != 0 }
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		keys := 1 + random.IntN(20*changeStep)
		m, want := NewMap[int](1<<30, func(a, b int) bool { return a < b }, nil), make(map[int]int)
		for i := range keys {
			m.Set(i, i, now)
			if v, ok := double(i); ok {
				want[i] = v
			}
		}
		compare := func(k int) {
			t.Helper()
			got, ok := m.Get(k)
			if v, has := want[k]; got != v && ok || ok != has {
				t.Fatalf("seed %d: key %d: %d, %v; want %d, %v", seed, k, got, ok, v, has)
			}
		}
		others := func() {
			for range random.IntN(100) {
				k := random.IntN(keys + 100)
				switch random.IntN(3) {
				case 0:
					v := random.IntN(1000)
					m.Set(k, v, now)
					want[k] = v
				case 1:
					m.Delete(k)
					delete(want, k)
				}
				compare(k)
			}
		}
		lock := &gap{others: others}
		lock.Lock()
		m.Change(1<<30, double, now, lock)
		lock.Mutex.Unlock()
		for k := range keys + 100 {
			compare(k)
		}
		if m.Len() != len(want) {
			t.Fatalf("seed %d: %d entries, want %d", seed, m.Len(), len(want))
		}
	}
}

// A Map that got smaller keeps the entries that matter more, and drops expired ones first.
func TestMapChangeForgetsBySample(t *testing.T) {
	over := func(v int, now time.Time) bool { return v < int(now.Unix()) }
	m := NewMap[int](10_000, func(a, b int) bool { return a < b }, over)
	for i := range 10_000 {
		m.Set(i, i, time.Unix(0, 0))
	}
	lock := new(sync.Mutex)
	lock.Lock()
	m.Change(1000, nil, time.Unix(0, 0), lock)
	late := 0
	for _, v := range m.of {
		if v >= 5000 {
			late++
		}
	}
	if m.Len() != 1000 || late < 900 {
		t.Errorf("%d entries, %d of them of the better half", m.Len(), late)
	}
	m.Change(10, nil, time.Unix(20_000, 0), lock) // all have expired
	if m.Len() > 10 {
		t.Errorf("%d entries", m.Len())
	}
	for i := range 100 {
		if m.Set(20_000+i, 20_000+i, time.Unix(0, 0)); m.Len() > 10 {
			t.Fatalf("%d entries", m.Len())
		}
	}
	m.Change(0, nil, time.Unix(0, 0), lock)
	if m.Len() != 0 {
		t.Errorf("%d entries where none may be", m.Len())
	}
}

// While the rate of many clients changes, each client's tokens count, also the tokens that it
// takes meanwhile.
func TestBuckets_ConfigureAmongOthers(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := NewBuckets[int](Rate{10, time.Hour}, 1<<20)
	const clients = 5000
	for key := range clients {
		for range key % 11 {
			b.Take(key, now)
		}
	}
	random, taken := rand.New(rand.NewPCG(1, 2)), make(map[int]int)
	lock := &gap{others: func() {
		for range 20 {
			key := random.IntN(clients)
			used := key%11 + taken[key]
			if ok := b.Take(key, now); ok != (used < 20) {
				t.Fatalf("client %d took %d of 20 tokens, and one more: %v", key, used, ok)
			} else if ok {
				taken[key]++
			}
		}
	}}
	b.Configure(Rate{20, time.Minute}, 1<<20, 20, now, lock)
	for key := range clients {
		left := 0
		for b.Take(key, now) {
			left++
		}
		if want := 20 - key%11 - taken[key]; left != want {
			t.Errorf("client %d has %d tokens left, want %d", key, left, want)
		}
	}
}

// An entry of a Recent stays for one Turn and goes with the second.
func TestRecent(t *testing.T) {
	var r Recent[string, int]
	has := func(k string, want int) {
		t.Helper()
		if v, ok := r.Get(k); v != want || ok != (want != 0) {
			t.Errorf("%s: %d, %v; want %d", k, v, ok, want)
		}
	}
	has("a", 0)
	r.Set("a", 1)
	r.Set("b", 2)
	r.Turn()
	has("a", 1)
	r.Set("a", 3)
	has("a", 3)
	if r.Len() != 2 {
		t.Errorf("%d entries", r.Len())
	}
	r.Turn()
	has("a", 3)
	has("b", 0)
	r.Turn()
	has("a", 0)
	if r.Len() != 0 {
		t.Errorf("%d entries", r.Len())
	}
}

// timed is a lock that measures how long it is held, in the processor time of its goroutine,
// which is locked to its thread: on a busy machine a holder also waits for a processor.
type timed struct {
	sync.Mutex
	since, longest time.Duration
}

func processorTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

func (l *timed) Lock()   { l.Mutex.Lock(); l.since = processorTime() }
func (l *timed) Unlock() { l.longest = max(l.longest, processorTime()-l.since); l.Mutex.Unlock() }

// BenchmarkConfigure changes the rate, and then the bound, of a million clients, and reports
// the longest time that the lock was held.
func BenchmarkConfigure(b *testing.B) {
	for name, change := range map[string]struct {
		rate Rate
		max  int
	}{"rate": {Rate{20, time.Minute}, 1 << 20}, "bound": {Rate{10, time.Hour}, 1000}} {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			lock := new(timed)
			for range b.N {
				b.StopTimer()
				s := NewBuckets[netip.Prefix](Rate{10, time.Hour}, 1<<20)
				for i := range 1_000_000 {
					s.Take(Client(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), start)
				}
				b.StartTimer()
				s.Configure(change.rate, change.max, 20, start, lock)
			}
			b.ReportMetric(float64(lock.longest.Microseconds()), "us-held")
		})
	}
}
