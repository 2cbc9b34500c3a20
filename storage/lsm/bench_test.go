package lsm

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"postrider/storage"
)

func benchStore(b *testing.B, compression string) (*Store, []storage.AccountID) {
	b.Helper()
	s, err := Open(Options{Dir: b.TempDir(), Log: quiet, FreeFloor: 1 << 20, BallastSize: -1, CacheSize: 256 << 20, Compression: compression})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	ids := make([]storage.AccountID, 1000)
	for i := range ids {
		ids[i] = accountIn(b, s, fmt.Sprintf("user%d", i))
	}
	return s, ids
}

// slot is one delivery in flight, used again and again.
type slot struct {
	d    storage.Delivery
	free chan *slot
	err  error
}

func (sl *slot) done(_ *storage.Delivery, _ storage.Receipt, err error) {
	sl.err = err
	sl.free <- sl
}

func benchDeliver(b *testing.B, inFlight int, body []byte) {
	for _, compression := range []string{"none", "auto"} {
		b.Run(compression, func(b *testing.B) { benchDeliverAs(b, compression, inFlight, body) })
	}
}

func benchDeliverAs(b *testing.B, compression string, inFlight int, body []byte) {
	s, ids := benchStore(b, compression)
	free := make(chan *slot, inFlight)
	for range inFlight {
		sl := &slot{free: free}
		sl.d.Recipients = make([]storage.Recipient, 1)
		sl.d.Done = sl.done
		free <- sl
	}
	trace := []byte("Return-Path: <sender@example.com>\r\n")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		sl := <-free
		if sl.err != nil {
			b.Fatal(sl.err)
		}
		dr := s.NewDraft(int64(len(body)))
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 256<<10)
			dr.Append(rest[:n])
			rest = rest[n:]
			if dr.Backlog() > 4<<20 {
				room := make(chan struct{})
				dr.Notify(1<<20, func() { close(room) })
				<-room
			}
		}
		sl.d.Draft, sl.d.Size, sl.d.Arrival = dr, int64(len(body)), arrivalOfBench
		sl.d.Recipients[0] = storage.Recipient{Account: ids[i%len(ids)], Trace: trace}
		s.Deliver(&sl.d)
	}
	for range inFlight {
		if sl := <-free; sl.err != nil {
			b.Fatal(sl.err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

var arrivalOfBench = time.UnixMilli(1_700_000_000_000)

func BenchmarkDeliver4K(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		b.Run(fmt.Sprintf("inflight%d", n), func(b *testing.B) { benchDeliver(b, n, prose(4<<10)) })
	}
}

func BenchmarkDeliver1M(b *testing.B)  { benchDeliver(b, 16, attachment(1<<20)) }
func BenchmarkDeliver50M(b *testing.B) { benchDeliver(b, 2, attachment(50<<20)) }

// prose is text of words of varied length and frequency, which S2 takes to about
// 60 %, as it does real mail.
func prose(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 2000)
	for i := range words {
		w := make([]byte, 2+r.IntN(8))
		for j := range w {
			w[j] = "etaoinshrdlucmfwypvbgkjqxz"[min(r.IntN(26), r.IntN(26))]
		}
		words[i] = string(w)
	}
	b := []byte("From: a@b.example\r\nSubject: prose\r\n\r\n")
	for col := 0; len(b) < n; {
		w := words[min(r.IntN(2000), r.IntN(2000), r.IntN(2000))]
		b = append(append(b, w...), ' ')
		if col += len(w) + 1; col > 66 {
			b, col = append(b, "\r\n"...), 0
		}
	}
	return append(b, "\r\n"...)
}

// attachment is noise as base64 in lines, as a packed file is in mail.
func attachment(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := []byte("Content-Transfer-Encoding: base64\r\n\r\n")
	for line := make([]byte, 57); len(b) < n; {
		for i := range line {
			line[i] = byte(r.Uint32())
		}
		b = append(base64.StdEncoding.AppendEncode(b, line), "\r\n"...)
	}
	return b
}

// benchMaildrop fills a maildrop with n messages of octets.
func benchMaildrop(b *testing.B, n, octets int) (*Store, *lock, *storage.Listing) {
	s, ids := benchStore(b, "auto")
	body := prose(octets)
	done := make(chan error, 256)
	for i := range n + 256 {
		if i >= 256 {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		if i >= n {
			continue
		}
		dr := s.NewDraft(int64(len(body)))
		dr.Append(body)
		s.Deliver(&storage.Delivery{
			Draft: dr, Size: int64(len(body)), Arrival: arrivalOfBench,
			Recipients: []storage.Recipient{{Account: ids[0]}},
			Done:       func(_ *storage.Delivery, _ storage.Receipt, err error) { done <- err },
		})
	}
	l, err := s.hold(ids[0])
	if err != nil {
		b.Fatal(err)
	}
	list, err := l.List(n)
	if err != nil || list.Len() != n {
		b.Fatalf("%d messages, %v", list.Len(), err)
	}
	return s, l, list
}

func BenchmarkRead4K(b *testing.B) {
	_, l, list := benchMaildrop(b, 5000, 4<<10)
	b.SetBytes(4 << 10)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		id, _ := list.At(i % list.Len())
		m, err := l.Open(id)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Next(); err != nil {
			b.Fatal(err)
		}
		m.Close()
	}
}

func BenchmarkList100k(b *testing.B) {
	_, l, _ := benchMaildrop(b, 100_000, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if list, err := l.List(1 << 30); err != nil || list.Len() != 100_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	s, _ := benchStore(b, "auto")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Lookup("user500", "example.org"); err != nil {
			b.Fatal(err)
		}
	}
}
