package lsm

import (
	"testing"

	"postrider/storage"
	"postrider/storage/storetest"
)

// Messages of 4 KB of twenty maildrops, read in order, sixty at a time.
func BenchmarkSequence(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Log: quiet, FreeFloor: 1 << 20, BallastSize: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var accounts []storage.AccountID
	for i := range 20 {
		accounts = append(accounts, accountIn(b, s, string(rune('a'+i))))
	}
	body := storetest.Body(4096, "bench")
	for i := range 4000 {
		if _, err := storetest.Deliver(s, body, accounts[i%20]); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	l, err := s.hold(accounts[3])
	if err != nil {
		b.Fatal(err)
	}
	list, err := l.List(1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1<<20)
	b.SetBytes(4096)
	b.ReportAllocs()
	i := 0
	var q storage.Sequence
	for b.Loop() {
		if i%60 == 0 {
			if q != nil {
				q.Close()
			}
			if q, err = l.Sequence(); err != nil {
				b.Fatal(err)
			}
			buf = buf[:0]
		}
		id, _ := list.At(i % list.Len())
		if buf, _, err = q.Append(buf, id); err != nil {
			b.Fatal(err)
		}
		i++
	}
	q.Close()
}
