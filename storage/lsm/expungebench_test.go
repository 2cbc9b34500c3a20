package lsm

import (
	"testing"

	"postrider/storage"
)

// BenchmarkRetrDele is what a POP3 client does that fetches its mail and deletes it: RETR of
// each message, and then one UPDATE for 100 of them.
func BenchmarkRetrDele(b *testing.B) {
	const step, octets = 100, 4 << 10
	n := min(b.N, 20_000) * step
	b.StopTimer()
	_, l, list := benchMaildrop(b, min(n, 20_000), octets)
	b.SetBytes(step * octets)
	b.ReportAllocs()
	ids := make([]storage.MessageID, 0, step)
	buf := make([]byte, 0, 2*octets)
	b.StartTimer()
	for i := range b.N {
		if (i+1)*step > list.Len() {
			b.StopTimer() // the maildrop is empty: another one
			_, l, list = benchMaildrop(b, min(n, 20_000), octets)
			b.StartTimer()
		}
		at := i * step % list.Len()
		q, err := l.Sequence()
		if err != nil {
			b.Fatal(err)
		}
		ids = ids[:0]
		for j := range step {
			id, _ := list.At(at + j)
			if _, _, err := q.Append(buf, id); err != nil {
				b.Fatal(err)
			}
			ids = append(ids, id)
		}
		q.Close()
		if err := l.Expunge(ids); err != nil {
			b.Fatal(err)
		}
	}
}
