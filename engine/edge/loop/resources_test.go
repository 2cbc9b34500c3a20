package loop

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A client pushes 1 GB into a handler that refuses it; with gnet that cost 4.9 GB
// of memory.
func TestPause_HoldsAFloodInTheKernel(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceDetector {
		size = 256 << 20
	}
	var got atomic.Int64
	conns, done := make(chan *Conn, 1), make(chan struct{})
	_, lis := serve(t, Config{RecvBuffer: 256 << 10}, func(c *Conn) Handler {
		refuse := true
		return &script{
			input: func(c *Conn, in []byte) int {
				if refuse {
					refuse = false
					c.Pause()
					conns <- c
					return 0
				}
				got.Add(int64(len(in)))
				return len(in)
			},
			eof: func(c *Conn) { c.Close(); close(done) },
		}
	})
	conn := dial(t, lis)
	var sent atomic.Int64
	go func() {
		p := make([]byte, 1<<20)
		for sent.Load() < size {
			n, err := conn.Write(p)
			sent.Add(int64(n))
			if err != nil {
				t.Error(err)
				break
			}
		}
		_ = conn.CloseWrite()
	}()
	c := receive(t, conns)
	debug.FreeOSMemory()
	base := rss(t)
	for last := int64(-1); last != sent.Load(); { // until the client is stuck
		last = sent.Load()
		turns(t, c.Loop().group)
	}
	if got.Load() != 0 {
		t.Fatal("presented while paused")
	}
	if peak := rss(t); peak > base+16<<20 && !raceDetector {
		t.Errorf("memory rose from %d to %d MB while refusing", base>>20, peak>>20)
	}
	on(t, c.Loop(), func() { c.Resume() })
	receive(t, done)
	if got.Load() != size {
		t.Fatalf("%d of %d octets", got.Load(), size)
	}
	if peak := rss(t); peak > base+16<<20 && !raceDetector {
		t.Errorf("memory rose from %d to %d MB", base>>20, peak>>20)
	}
}

// 1,000 readers that don't read hold no more than a chunk each, and get it all.
func TestWantDrained_AThousandStalledReaders(t *testing.T) {
	const readers, chunk = 1000, 16 << 10
	size := 1 << 20
	if testing.Short() || raceDetector {
		size = 256 << 10
	}
	var pending atomic.Int64
	var written atomic.Int64
	buf := make([]byte, chunk)
	_, lis := serve(t, Config{Loops: 1, NotSentLowat: 64 << 10}, func(c *Conn) Handler {
		at := 0
		c.WantDrained()
		return &script{drained: func(c *Conn) {
			if at == size {
				c.Close()
				return
			}
			pattern(buf, at)
			at += chunk
			c.Write(buf)
			written.Add(chunk)
			pending.Store(max(pending.Load(), int64(c.Pending())))
			c.WantDrained()
		}}
	})
	var conns []*net.TCPConn
	for range readers {
		conns = append(conns, dial(t, lis))
	}
	for last := int64(-1); last != written.Load(); { // until all are stuck
		last = written.Load()
		turns(t, lis.group)
	}
	var all sync.WaitGroup
	for part := range 10 {
		all.Go(func() {
			for i := part; i < readers; i += 10 {
				if err := checkStream(conns[i], size); err != nil {
					t.Errorf("reader %d: %v", i, err)
				}
				conns[i].Close()
			}
		})
	}
	all.Wait()
	if pending.Load() > chunk {
		t.Errorf("%d octets pending in a connection", pending.Load())
	}
}

// The engine of gnet ends here. The limit is for the process, so the server is one
// of its own.
func TestAccept_WithoutDescriptorsTurnsAwayAndGoesOn(t *testing.T) {
	if addr := os.Getenv("LOOP_TEST_EMFILE"); addr != "" {
		serveWithFewDescriptors(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "LOOP_TEST_EMFILE=1")
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close() // ends it
		_ = cmd.Wait()
	}()
	addr := ""
	for lines := bufio.NewScanner(stdout); addr == "" && lines.Scan(); {
		_, addr, _ = strings.Cut(lines.Text(), "listening on ")
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()

	greeted, refused := []net.Conn{}, 0
	for range 80 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		line, err := bufio.NewReader(conn).ReadString('\n')
		switch {
		case err != nil:
			t.Fatalf("%d greeted, %d refused, then %q %v", len(greeted), refused, line, err)
		case line == "220 hello\r\n":
			greeted = append(greeted, conn)
		case line == "421 busy\r\n":
			refused++
		default:
			t.Fatalf("%q", line)
		}
	}
	if len(greeted) < 5 || refused < 5 {
		t.Fatalf("%d greeted, %d refused", len(greeted), refused)
	}
	for _, conn := range greeted {
		conn.Close()
	}
	eventually(t, "a new client is served", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return line == "220 hello\r\n"
	})
}

func serveWithFewDescriptors(t *testing.T) {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 60, Max: 60}); err != nil {
		t.Fatal(err)
	}
	_, lis := serve(t, Config{Loops: 2}, func(c *Conn) Handler {
		c.Write([]byte("220 hello\r\n"))
		return &script{}
	})
	os.Stdout.WriteString("listening on " + lis.Addr().String() + "\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestConn_IsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size > 192 {
		t.Errorf("a Conn has %d octets: the next size class", size)
	}
}

func TestConn_AnIdleOneCostsAtMost300Octets(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector pads")
	}
	perConn := idleOctets(t, 2000)
	t.Logf("%d octets", perConn)
	if perConn > 300 {
		t.Errorf("%d octets for an idle connection", perConn)
	}
}

// idleOctets is the heap per connection after a greeting and a command. The
// clients are bare sockets, which cost no heap.
func idleOctets(t testing.TB, n int) int64 {
	handler := &script{input: func(c *Conn, in []byte) int { c.Write(in); return len(in) }}
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		c.Write([]byte("x"))
		return handler
	})
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse)
	}
	addr := lis.Addr()
	to := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	connect := func() int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, to)
		}
		var b [4]byte
		if err == nil {
			_, err = unix.Write(fd, []byte("EHLO"))
		}
		for got := 0; got < 5 && err == nil; {
			var n int
			n, err = unix.Read(fd, b[:])
			got += n
		}
		if errors.Is(err, unix.EMFILE) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	fds := make([]int, n)
	before := heap()
	for i := range fds {
		fds[i] = connect()
	}
	after := heap()
	if g.Conns() != n {
		t.Fatalf("%d connections", g.Conns())
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return (after - before) / int64(n)
}

func TestEcho_AllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			c.SetDeadline(300e9)
			if len(in) < 4 {
				return 0 // kept
			}
			c.Write(in)
			return len(in)
		}}
	})
	conn := dial(t, lis)
	p := []byte("abcd")
	allocs := testing.AllocsPerRun(2000, func() {
		_, _ = conn.Write(p[:2])
		_, _ = conn.Write(p[2:])
		_, _ = io.ReadFull(conn, p)
	})
	if allocs >= 1 {
		t.Errorf("%v allocations an echo", allocs)
	}
}
