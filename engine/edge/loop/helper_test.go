package loop

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hang is how long a test waits for what must come; it only guards against
// hanging for ever.
const hang = time.Minute

// script is a Handler of functions; a missing one does the least.
type script struct {
	input   func(c *Conn, in []byte) int
	drained func(c *Conn)
	eof     func(c *Conn)
	timeout func(c *Conn)
	closed  func(c *Conn, err error)
}

func (s *script) Input(c *Conn, in []byte) int {
	if s.input == nil {
		return len(in)
	}
	return s.input(c, in)
}

func (s *script) Drained(c *Conn) {
	if s.drained != nil {
		s.drained(c)
	}
}

func (s *script) EOF(c *Conn) {
	if s.eof == nil {
		c.Close()
		return
	}
	s.eof(c)
}

func (s *script) Timeout(c *Conn) {
	if s.timeout != nil {
		s.timeout(c)
	}
}

func (s *script) Closed(c *Conn, err error) {
	if s.closed != nil {
		s.closed(c, err)
	}
}

// echo sends back what comes, and closes when the peer does.
func echo(*Conn) Handler {
	return &script{input: func(c *Conn, in []byte) int { c.Write(in); return len(in) }}
}

type taskFunc func()

func (f taskFunc) Run() { f() }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// group starts loops that end with the test.
func group(t testing.TB, cfg Config) *Group {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	t.Cleanup(g.Stop)
	return g
}

func listen(t testing.TB, g *Group, open func(c *Conn) Handler) *Listener {
	t.Helper()
	lis, err := g.Listen("127.0.0.1:0", []byte("421 busy\r\n"), open)
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// serve is a group of cfg with one listener.
func serve(t testing.TB, cfg Config, open func(c *Conn) Handler) (*Group, *Listener) {
	t.Helper()
	g := group(t, cfg)
	return g, listen(t, g, open)
}

// dial connects; reads and writes of the connection fail rather than hang.
func dial(t testing.TB, lis *Listener) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(hang))
	return conn.(*net.TCPConn)
}

func send(t testing.TB, conn net.Conn, s string) {
	t.Helper()
	if _, err := conn.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func expect(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

func receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hang):
		buf := make([]byte, 1<<16)
		t.Fatalf("nothing came\n%s", buf[:runtime.Stack(buf, true)])
	}
	return v
}

// on runs f on the loop and waits for it.
func on(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(taskFunc(func() { f(); close(done) })) {
		t.Fatal("the loop has ended")
	}
	receive(t, done)
}

// turns lets all loops have some turns: whatever was ready before has been seen.
func turns(t testing.TB, g *Group) {
	t.Helper()
	for range 5 {
		for _, l := range g.Loops() {
			on(t, l, func() {})
		}
	}
}

// eventually waits for cond, which others bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// rss is the resident memory of the process in octets.
func rss(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// pattern fills p with octets that depend on their place in the stream.
func pattern(p []byte, at int) {
	for i := range p {
		x := uint32(at+i) * 2654435761
		p[i] = byte(x >> 24)
	}
}

// check reads all of r and wants size octets of the pattern.
func checkStream(r io.Reader, size int) error {
	buf, want := make([]byte, 64<<10), make([]byte, 64<<10)
	at := 0
	for {
		n, err := r.Read(buf)
		pattern(want[:n], at)
		if string(buf[:n]) != string(want[:n]) {
			return fmt.Errorf("wrong octets at %d", at)
		}
		at += n
		if err == io.EOF && at == size {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%d of %d octets: %w", at, size, err)
		}
	}
}
