package lsm

import (
	"syscall"
	"testing"
	"time"

	"postrider/storage"
)

// BenchmarkRetrDele is what a POP3 client does that fetches its mail and deletes it: RETR of
// each message, and then one UPDATE for 100 of them; and the same where deleted mail is kept.
func BenchmarkRetrDele(b *testing.B) {
	b.Run("gone", func(b *testing.B) { benchRetrDele(b, 0) })
	b.Run("kept", func(b *testing.B) { benchRetrDele(b, time.Hour) })
}

func benchRetrDele(b *testing.B, keep time.Duration) {
	const step, octets = 100, 4 << 10
	n := min(b.N, 20_000) * step
	b.StopTimer()
	s, l, list := benchMaildrop(b, min(n, 20_000), octets)
	s.SetRetention(storage.Retention{DeletedMail: keep})
	b.SetBytes(step * octets)
	b.ReportAllocs()
	ids := make([]storage.MessageID, 0, step)
	buf := make([]byte, 0, 2*octets)
	spent := time.Duration(0)
	b.StartTimer()
	for i := range b.N {
		if (i+1)*step > list.Len() {
			b.StopTimer() // the maildrop is empty: another one
			s, l, list = benchMaildrop(b, min(n, 20_000), octets)
			s.SetRetention(storage.Retention{DeletedMail: keep})
			b.StartTimer()
		}
		at := i * step % list.Len()
		before := cpuTime(b)
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
		spent += cpuTime(b) - before
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N*step), "cpu-us/message")
}

// cpuTime is the time that the process has had of the cores.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
