package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postrider/engine/config"
)

// The benchmarks of TLS have their clients in another process, which is this test
// binary again, so that memory and CPU are the server's own.

// clientJob in the environment is what that process is to do: "idle ADDR N" or
// "storm ADDR N".
const clientJob = "POSTRIDER_TEST_TLS_CLIENT"

// TestTLSClientProcess is the other process. In an ordinary run there is nothing
// for it to do.
func TestTLSClientProcess(t *testing.T) {
	words := strings.Fields(os.Getenv(clientJob))
	if len(words) != 3 {
		return
	}
	n, _ := strconv.Atoi(words[2])
	switch words[0] {
	case "idle":
		holdIdle(t, words[1], n)
	case "storm":
		storm(t, words[1], n)
	}
}

// holdIdle opens n sessions, lets each have full records come in, and holds them
// until its input ends.
func holdIdle(t *testing.T, addr string, n int) {
	group := strings.Repeat("NOOP\r\n", 3000)
	var conns []net.Conn
	for range n {
		c, err := tls.Dial("tcp", addr, modern)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(c, 512)
		_, _ = r.ReadString('\n')
		_, _ = io.WriteString(c, group)
		for range 3000 {
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, c)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		_ = c.Close()
	}
}

// storm has n clients shake hands and leave, over and over, until its input ends.
func storm(t *testing.T, addr string, n int) {
	var stop atomic.Bool
	var all sync.WaitGroup
	var done atomic.Int64
	for range n {
		all.Go(func() {
			for !stop.Load() {
				c, err := tls.Dial("tcp", addr, modern)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = bufio.NewReaderSize(c, 512).ReadString('\n')
				done.Add(1)
				_ = c.Close()
			}
		})
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop.Store(true)
	all.Wait()
	fmt.Println("handshakes", done.Load())
}

// other starts the other process and waits until it is ready; end ends it and
// returns the rest of what it printed.
func other(b *testing.B, job string) (end func() string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestTLSClientProcess$", "-test.v")
	cmd.Env = append(os.Environ(), clientJob+"="+job)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			b.Fatalf("the other process failed: %v, %s", err, l)
		}
		if l == "ready\n" {
			break
		}
	}
	return func() string {
		_ = in.Close()
		rest, _ := io.ReadAll(r)
		_ = cmd.Wait()
		return string(rest)
	}
}

// asServed sets what serve sets: a free P for each loop.
func asServed(b *testing.B) {
	old := runtime.GOMAXPROCS(2 * runtime.NumCPU())
	b.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// resident is the memory of the process, and the heap's part of it.
func resident(b *testing.B) (rss, heap int64) {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return pages * int64(os.Getpagesize()), int64(m.HeapAlloc)
}

// BenchmarkIdleTLS is the memory of a silent session within TLS, all of it, after
// full records came in and the buffers were given back.
func BenchmarkIdleTLS(b *testing.B) {
	const sessions = 9000
	asServed(b)
	f := start(b, func(cfg *config.Config) { withTLS(cfg); cfg.Limits.ConnectionsPerClient = sessions }, nil)
	for b.Loop() {
		rss, heap := resident(b)
		end := other(b, fmt.Sprint("idle ", f.SMTPSAddrs()[0], " ", sessions))
		time.Sleep(12 * time.Second) // until the loops have told all layers
		rssNow, heapNow := resident(b)
		b.ReportMetric(float64(rssNow-rss)/sessions, "octets/session")
		b.ReportMetric(float64(heapNow-heap)/sessions, "heap-octets/session")
		end()
		until(b, "the sessions are gone", func() bool { return f.group.Conns() == 0 })
	}
}

// BenchmarkStormTLS is what 128 clients that shake hands without a pause cost the
// others: a session that says NOOP each millisecond.
func BenchmarkStormTLS(b *testing.B) {
	asServed(b)
	f := start(b, func(cfg *config.Config) { withTLS(cfg); cfg.SMTP.MaxErrors = 1 << 20 }, nil)
	p := f.dialSMTPS(b, modern)
	p.expect("220 ")
	measure := func(name string) (n int, cpu time.Duration) {
		var took []time.Duration
		var before, after syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
		from := f.edge.Stats.TLSHandshakes.Load()
		began := time.Now()
		for time.Since(began) < 4*time.Second {
			at := time.Now()
			p.say("NOOP", "250 ")
			took = append(took, time.Since(at))
			time.Sleep(time.Millisecond)
		}
		n = int(f.edge.Stats.TLSHandshakes.Load() - from)
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "us-p50-"+name)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "us-p99-"+name)
		cpu = time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano())
		return n, cpu
	}
	for b.Loop() {
		measure("calm")
		end := other(b, fmt.Sprint("storm ", f.SMTPSAddrs()[0], " 128"))
		n, cpu := measure("storm")
		end()
		b.ReportMetric(float64(n)/4, "handshakes/s")
		b.ReportMetric(float64(cpu.Microseconds())/float64(max(n, 1)), "us-cpu/handshake")
	}
}
