package lsm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"postrider/storage"
	"postrider/storage/storetest"
)

// fill enqueues n messages, inFlight at once, to random ones of so many destinations.
func fill(b *testing.B, s *Store, n, inFlight, domains int, body []byte) {
	b.Helper()
	free := make(chan *slot, inFlight)
	for range inFlight {
		sl := &slot{free: free}
		sl.d.Done = sl.done
		free <- sl
	}
	for range n {
		sl := <-free
		if sl.err != nil {
			b.Fatal(sl.err)
		}
		dr := s.NewDraft(int64(len(body)))
		dr.Append(body)
		sl.d.Draft, sl.d.Size, sl.d.Arrival = dr, int64(len(body)), arrivalOfBench
		sl.d.Relayed = []*storage.QueueEntry{storetest.Waiting(fmt.Sprintf("domain%d.example", rand.IntN(domains)), "user")}
		s.Deliver(&sl.d)
	}
	for range inFlight {
		if sl := <-free; sl.err != nil {
			b.Fatal(sl.err)
		}
	}
}

// manyDomains is the destinations of the benchmarks.
const manyDomains = 100_000

func BenchmarkEnqueue4K(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		b.Run(fmt.Sprintf("inflight%d", n), func(b *testing.B) {
			s, _ := benchStore(b, "auto")
			body := prose(4 << 10)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			b.ResetTimer()
			fill(b, s, b.N, n, manyDomains, body)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// inFlight carries out f for each of the entries, n at once.
func inFlight(b *testing.B, n int, es []*storage.QueueEntry, f func(e *storage.QueueEntry) error) {
	next := make(chan *storage.QueueEntry, n)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for e := range next {
				if err := f(e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, e := range es {
		next <- e
	}
	close(next)
	wg.Wait()
}

func benchSettle(b *testing.B, how func(s *Store, e *storage.QueueEntry) error) {
	for _, n := range []int{1, 20, 200} {
		b.Run(fmt.Sprintf("inflight%d", n), func(b *testing.B) {
			s, _ := benchStore(b, "auto")
			fill(b, s, b.N, 200, manyDomains, prose(4<<10))
			var es []*storage.QueueEntry
			if err := s.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool { es = append(es, e); return true }); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			inFlight(b, n, es, func(e *storage.QueueEntry) error { return how(s, e) })
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkSettleDone(b *testing.B) {
	benchSettle(b, func(s *Store, e *storage.QueueEntry) error {
		return s.Settle([]storage.Settlement{storetest.Done(e)})
	})
}

func BenchmarkSettleLater(b *testing.B) {
	due := time.Now().Add(time.Hour)
	benchSettle(b, func(s *Store, e *storage.QueueEntry) error {
		st := storetest.Later(e, due, "4.4.1")
		st.Record = storage.Record{At: due, Text: "no answer of any host of the destination"}
		return s.Settle([]storage.Settlement{st})
	})
}

// What a scheduler does with a destination that has one entry.
func BenchmarkReadSettleSleep(b *testing.B) {
	benchSettle(b, func(s *Store, e *storage.QueueEntry) error {
		if _, err := s.ReadDue(e.Domain, e.Before(), 1); err != nil {
			return err
		}
		if err := s.Settle([]storage.Settlement{storetest.Done(e)}); err != nil {
			return err
		}
		s.Sleep(e.Domain, e.Cursor(), time.Time{})
		return nil
	})
}

func BenchmarkReadDue100(b *testing.B) {
	s, _ := benchStore(b, "auto")
	fill(b, s, 10_000, 200, 1, prose(1<<10))
	b.ReportAllocs()
	var at storage.Cursor
	for b.Loop() {
		es, err := s.ReadDue("domain0.example", at, 100)
		if err != nil || len(es) != 100 {
			b.Fatal(len(es), err)
		}
		if at = es[99].Cursor(); es[99].ID.Message == storage.MaxMessageID {
			b.Fatal("BUG: the highest id")
		}
		if es, _ := s.ReadDue("domain0.example", at, 1); len(es) == 0 {
			at = storage.Cursor{}
		}
	}
}

// A queue of a million entries: set POSTRIDER_MILLION.
func BenchmarkMillion(b *testing.B) {
	if os.Getenv("POSTRIDER_MILLION") == "" {
		b.Skip("set POSTRIDER_MILLION: it writes some gigabytes")
	}
	opts := Options{Dir: b.TempDir(), Log: quiet, FreeFloor: 1 << 20, BallastSize: -1}
	s, err := Open(opts)
	if err != nil {
		b.Fatal(err)
	}
	timed := func(what string, f func()) {
		begin := time.Now()
		f()
		b.Logf("%s: %v", what, time.Since(begin).Round(10*time.Microsecond))
	}
	body := prose(4 << 10)
	for i := range 10 {
		begin := time.Now()
		fill(b, s, 100_000, 200, manyDomains, body)
		b.Logf("%d to %d: %.0f messages/s", i*100_000, (i+1)*100_000, 100_000/time.Since(begin).Seconds())
	}
	memory(b, s, "full")
	timed("close", func() { err = s.Close() })
	if err != nil {
		b.Fatal(err)
	}
	timed("open", func() { s, err = Open(opts) })
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	memory(b, s, "opened")
	domains := 0
	timed("the first Awake", func() { err = s.Awake(func(string) { domains++ }) })
	b.Logf("%d destinations, %v", domains, err)
	memory(b, s, "awake")
	timed("ReadDue of one", func() { _, err = s.ReadDue("domain77.example", storage.Cursor{}, 100) })
	timed("ReadDue of another", func() { _, err = s.ReadDue("domain78.example", storage.Cursor{}, 100) })
	for what, f := range map[string]storage.QueueFilter{
		"by destination": {Domain: "domain500.example"},
		"by status":      {Status: "4.4.1"},
		"older":          {ArrivedBefore: time.Now().Add(-time.Hour)},
		"all":            {},
	} {
		n := 0
		timed("list "+what, func() { err = s.Queued(f, func(*storage.QueueEntry) bool { n++; return true }) })
		b.Logf("%d entries, %v", n, err)
	}
	begin := time.Now()
	fill(b, s, 100_000, 200, manyDomains, body)
	b.Logf("100,000 more: %.0f messages/s", 100_000/time.Since(begin).Seconds())
	drain(b, s, 100_000)
}

// drain settles n entries, 200 at once.
func drain(b *testing.B, s *Store, n int) {
	var es []*storage.QueueEntry
	if err := s.Queued(storage.QueueFilter{}, func(e *storage.QueueEntry) bool { es = append(es, e); return len(es) < n }); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	inFlight(b, 200, es, func(e *storage.QueueEntry) error {
		if err := s.Settle([]storage.Settlement{storetest.Done(e)}); err != nil {
			return err
		}
		s.Sleep(e.Domain, e.Cursor(), time.Time{})
		return nil
	})
	b.Logf("%d settled: %.0f entries/s", n, float64(n)/time.Since(begin).Seconds())
}

func memory(b *testing.B, s *Store, when string) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p := s.db.Metrics()
	b.Logf("%s: heap %d MB; block cache %d MB, memtables %d MB", when, m.HeapAlloc>>20, p.BlockCache.Size>>20, p.MemTable.Size>>20)
}
