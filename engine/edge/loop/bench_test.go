package loop

import (
	"io"
	"testing"
)

func BenchmarkEcho(b *testing.B) {
	_, lis := serve(b, Config{}, echo)
	conn := dial(b, lis)
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = conn.Write(p)
		if _, err := io.ReadFull(conn, p); err != nil {
			b.Fatal(err)
		}
	}
}

type countdown struct {
	left int
	done chan struct{}
}

func (t *countdown) Run() {
	if t.left--; t.left == 0 {
		t.done <- struct{}{}
	}
}

// A round is 1,000 completions of one sync; the figure is for one of them.
func BenchmarkPost(b *testing.B) {
	g := group(b, Config{Loops: 1})
	task := &countdown{done: make(chan struct{})}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%1000 != 0 {
			continue
		}
		task.left = 1000
		for range 1000 {
			g.Loops()[0].Post(task)
		}
		<-task.done
	}
}

func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(idleOctets(b, 5000)), "octets/conn")
	}
}
