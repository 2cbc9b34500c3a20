package loop

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEcho(t *testing.T) {
	_, lis := serve(t, Config{}, echo)
	conn := dial(t, lis)
	send(t, conn, "hello")
	expect(t, conn, "hello")
	_ = conn.CloseWrite()
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
}

const large = 32 << 20

func largeReply() []byte {
	p := make([]byte, large)
	pattern(p, 0)
	return p
}

// gnet's Close lost 25 to 29 of 33.5 MB.
func TestClose_ALargeReplyArrivesWholeAtASlowReader(t *testing.T) {
	reply, closing := largeReply(), make(chan struct{})
	closed := make(chan error, 1)
	_, lis := serve(t, Config{NotSentLowat: 64 << 10}, func(c *Conn) Handler {
		return &script{
			input: func(c *Conn, in []byte) int {
				c.Write(reply)
				c.Close()
				if c.Alive() || c.Pending() == 0 {
					t.Error("closing, with output pending")
				}
				close(closing)
				return len(in)
			},
			closed: func(_ *Conn, err error) { closed <- err },
		}
	})
	conn := dial(t, lis)
	send(t, conn, "RETR")
	receive(t, closing)
	send(t, conn, "more, which is dropped")
	if err := checkStream(conn, large); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := receive(t, closed); err != nil {
		t.Errorf("Closed(%v)", err)
	}
}

// gnet takes half-close for close: 3.9 of 33.5 MB arrived.
func TestEOF_AHalfClosedPeerGetsAll(t *testing.T) {
	reply := largeReply()
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			c.Write(reply)
			return len(in)
		}}
	})
	conn := dial(t, lis)
	send(t, conn, "RETR QUIT")
	_ = conn.CloseWrite()
	if err := checkStream(conn, large); err != nil {
		t.Fatal(err)
	}
}

// A stream written in chunks, each when the last is gone, and the peer's FIN in
// the middle of it: the prototype's stream stalled there.
func TestDrained_GoesOnAfterEOF(t *testing.T) {
	const chunk = 64 << 10
	buf := make([]byte, chunk)
	eof := make(chan struct{})
	_, lis := serve(t, Config{NotSentLowat: 64 << 10}, func(c *Conn) Handler {
		at := 0
		return &script{
			input: func(c *Conn, in []byte) int { c.WantDrained(); return len(in) },
			eof:   func(*Conn) { close(eof) },
			drained: func(c *Conn) {
				if c.Pending() != 0 {
					t.Error("Drained with output pending")
				}
				if at == large {
					c.Close()
					return
				}
				pattern(buf, at)
				at += chunk
				c.Write(buf)
				c.WantDrained()
			},
		}
	})
	conn := dial(t, lis)
	send(t, conn, "RETR")
	_ = conn.CloseWrite()
	receive(t, eof) // it came while the stream was running
	if err := checkStream(conn, large); err != nil {
		t.Fatal(err)
	}
}

// The same in the smallest: armed with nothing pending, then EOF, then nothing.
func TestDrained_ArmedInEOF(t *testing.T) {
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		return &script{
			eof:     func(c *Conn) { c.WantDrained() },
			drained: func(c *Conn) { c.Write([]byte("bye")); c.Close() },
		}
	})
	conn := dial(t, lis)
	_ = conn.CloseWrite()
	expect(t, conn, "bye")
}

func TestWantDrained_IsOneCall(t *testing.T) {
	var calls atomic.Int32
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		c.WantDrained()
		c.WantDrained()
		return &script{drained: func(c *Conn) {
			if calls.Add(1); c.want()&wantWrite != 0 {
				t.Error("still armed")
			}
			c.Write([]byte("x"))
		}}
	})
	expect(t, dial(t, lis), "x")
	turns(t, g)
	if calls.Load() != 1 {
		t.Fatalf("%d calls", calls.Load())
	}
}

func TestInput_WhatIsLeftIsPresentedWithWhatFollows(t *testing.T) {
	seen := make(chan string, 10)
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			seen <- string(in)
			return min(2, len(in)-1)
		}}
	})
	conn := dial(t, lis)
	for _, step := range []struct{ sent, presented string }{
		{"abcd", "abcd"}, {"ef", "cdef"}, {"g", "efg"},
	} {
		send(t, conn, step.sent)
		if got := receive(t, seen); got != step.presented {
			t.Fatalf("presented %q, want %q", got, step.presented)
		}
	}
}

func TestResume_PresentsKeptInputThoughNothingComes(t *testing.T) {
	seen, conns := make(chan string, 10), make(chan *Conn, 1)
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		conns <- c
		return &script{input: func(c *Conn, in []byte) int {
			c.Pause()
			seen <- string(in)
			return 1
		}}
	})
	conn := dial(t, lis)
	send(t, conn, "abc")
	c := receive(t, conns)
	for _, want := range []string{"abc", "bc", "c"} {
		if got := receive(t, seen); got != want {
			t.Fatalf("presented %q, want %q", got, want)
		}
		on(t, c.Loop(), func() {
			if c.Kept() != len(want)-1 {
				t.Errorf("kept %d", c.Kept())
			}
			c.Resume()
			if len(seen) > 0 {
				t.Error("presented from inside Resume")
			}
		})
	}
	on(t, c.Loop(), func() { c.Resume() }) // nothing is kept
	send(t, conn, "d")
	if got := receive(t, seen); got != "d" {
		t.Fatalf("presented %q", got)
	}
}

func TestResume_PausedAgainMeansNotPresented(t *testing.T) {
	calls, conns := make(chan int, 10), make(chan *Conn, 1)
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		conns <- c
		return &script{input: func(c *Conn, in []byte) int {
			c.Pause()
			calls <- len(in)
			return 0
		}}
	})
	send(t, dial(t, lis), "abc")
	c := receive(t, conns)
	receive(t, calls)
	on(t, c.Loop(), func() { c.Resume(); c.Pause() })
	turns(t, g)
	if len(calls) > 0 {
		t.Fatal("presented while paused")
	}
}

func TestEOF_KeptInputIsStillPresented(t *testing.T) {
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		ended := false
		return &script{
			eof: func(c *Conn) { ended = true; c.Resume() },
			input: func(c *Conn, in []byte) int {
				if !ended {
					return 0
				}
				c.Write(in)
				c.Close()
				return len(in)
			},
		}
	})
	conn := dial(t, lis)
	send(t, conn, "QUIT")
	_ = conn.CloseWrite()
	expect(t, conn, "QUIT")
}

func TestSetReadLimit_IsNeverExceeded(t *testing.T) {
	seen, conns := make(chan int, 100), make(chan *Conn, 1)
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		c.SetReadLimit(3)
		conns <- c
		return &script{input: func(c *Conn, in []byte) int {
			c.SetReadLimit(0)
			seen <- len(in)
			return len(in)
		}}
	})
	send(t, dial(t, lis), "0123456789")
	c := receive(t, conns)
	for _, want := range []int{3, 2, 5} {
		if got := receive(t, seen); got != want {
			t.Fatalf("%d octets, want %d", got, want)
		}
		turns(t, g)
		if len(seen) > 0 {
			t.Fatal("read with a limit of 0")
		}
		on(t, c.Loop(), func() { c.SetReadLimit([]int{0, 0, -1, 2}[want%4]) })
		if want == 5 {
			return
		}
	}
}

func TestInput_KeptIsBoundedByTheReadBuffer(t *testing.T) {
	const size = 4096
	var most atomic.Int64
	conns := make(chan *Conn, 1)
	refuse := true // only the loop uses it
	_, lis := serve(t, Config{ReadBuffer: size}, func(c *Conn) Handler {
		conns <- c
		return &script{input: func(c *Conn, in []byte) int {
			most.Store(max(most.Load(), int64(len(in))))
			if refuse {
				return 0
			}
			c.Write(in)
			return len(in)
		}}
	})
	conn := dial(t, lis)
	p := make([]byte, 3*size)
	pattern(p, 0)
	send(t, conn, string(p))
	c := receive(t, conns)
	eventually(t, "the buffer is full", func() bool {
		full := false
		on(t, c.Loop(), func() { full = c.Kept() == size })
		return full
	})
	on(t, c.Loop(), func() {
		if c.armed != 0 {
			t.Error("a full connection is watched, which would spin")
		}
		refuse = false
		c.Resume()
	})
	_ = conn.CloseWrite()
	if err := checkStream(conn, len(p)); err != nil {
		t.Fatal(err)
	}
	if most.Load() != size {
		t.Fatalf("presented up to %d octets", most.Load())
	}
}

// Any way of consuming, pausing, resuming and limiting passes the stream on, in
// order, once.
func TestInput_RandomConsumerGetsTheStream(t *testing.T) {
	for seed := range uint64(8) {
		const size = 300_000
		conns := make(chan *Conn, 1)
		_, lis := serve(t, Config{ReadBuffer: 8192, Loops: 1}, func(c *Conn) Handler {
			rnd := rand.New(rand.NewPCG(seed, 1))
			conns <- c
			return &script{input: func(c *Conn, in []byte) int {
				n := rnd.IntN(len(in) + 1)
				c.Write(in[:n])
				switch rnd.IntN(4) {
				case 0:
					c.Pause()
					c.Loop().Post(taskFunc(c.Resume))
				case 1:
					c.SetReadLimit(1 + rnd.IntN(5000))
				}
				if n < len(in) {
					c.Resume() // or the last octets could wait for ever
					if rnd.IntN(2) == 0 {
						c.Pause()
						c.Loop().Post(taskFunc(c.Resume))
					}
				}
				return n
			}, eof: func(c *Conn) {
				var finish taskFunc
				finish = func() {
					if c.Resume(); c.Kept() == 0 {
						c.Close()
						return
					}
					c.Loop().Post(finish)
				}
				finish()
			}}
		})
		conn := dial(t, lis)
		go func() {
			p := make([]byte, size)
			pattern(p, 0)
			_, _ = conn.Write(p)
			_ = conn.CloseWrite()
		}()
		if err := checkStream(conn, size); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// One connection that yields for ever does not keep the other from its turn; with
// gnet's Wake the other waited until the first gave up.
func TestResume_IsAYield(t *testing.T) {
	var yields atomic.Int64
	done := false
	_, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			if in[0] == 'y' && !done {
				yields.Add(1)
				c.Resume()
				return 0
			}
			done = in[0] == 'q'
			c.Write(in)
			return len(in)
		}}
	})
	busy, other := dial(t, lis), dial(t, lis)
	send(t, busy, "y")
	for range 100 {
		before := yields.Load()
		send(t, other, "x")
		expect(t, other, "x")
		eventually(t, "the yielding one goes on", func() bool { return yields.Load() > before })
	}
	send(t, other, "q")
	expect(t, busy, "y")
}

func TestPost_ATaskThatPostsItselfYields(t *testing.T) {
	g, lis := serve(t, Config{Loops: 1}, echo)
	var stopped atomic.Bool
	var again taskFunc
	again = func() {
		if !stopped.Load() {
			g.Loops()[0].Post(again)
		}
	}
	g.Loops()[0].Post(again)
	defer stopped.Store(true)
	conn := dial(t, lis)
	for range 100 {
		send(t, conn, "x")
		expect(t, conn, "x")
	}
}

// The connection is closed in a callback, and its descriptor number is given to a
// new one before the rest of the events is handled.
func TestAbort_AReusedDescriptorGetsNoForeignOctets(t *testing.T) {
	for _, end := range []func(*Conn){(*Conn).Abort, (*Conn).Close} {
		var g *Group
		var lis *Listener
		closed := make(chan error, 1000)
		g, lis = serve(t, Config{Loops: 1}, func(c *Conn) Handler {
			var first byte
			return &script{
				input: func(c *Conn, in []byte) int {
					if first == 0 {
						first = in[0]
					}
					for _, o := range in {
						if o != first {
							t.Errorf("octet %q in the connection of %q", o, first)
						}
					}
					c.Write(in[:1])
					if first%3 == 0 {
						end(c)
					}
					return len(in)
				},
				closed: func(_ *Conn, err error) { closed <- err },
			}
		})
		for round := range 20 {
			blocked, goOn := make(chan struct{}), make(chan struct{})
			g.Loops()[0].Post(taskFunc(func() { close(blocked); <-goOn }))
			receive(t, blocked)
			var conns []net.Conn // all become ready in one batch
			for i := range 20 {
				conn := dial(t, lis)
				send(t, conn, string([]byte{byte('a' + i), byte('a' + i)}))
				conns = append(conns, conn)
			}
			close(goOn)
			for i, conn := range conns {
				expect(t, conn, string([]byte{byte('a' + i)}))
				conn.Close()
			}
			for range conns {
				receive(t, closed)
			}
			if g.Conns() != 0 {
				t.Fatalf("round %d: %d connections left", round, g.Conns())
			}
			on(t, g.Loops()[0], func() {
				for fd, c := range g.Loops()[0].conns {
					if c != nil {
						t.Errorf("round %d: the loop still has descriptor %d", round, fd)
					}
				}
			})
		}
	}
}

// A stale event is a hint: to a connection that has nothing to read it does nothing.
func TestServe_StaleEventsAreHarmless(t *testing.T) {
	conns := make(chan *Conn, 1)
	g, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		conns <- c
		return &script{
			input:   func(c *Conn, in []byte) int { c.Write(in); return len(in) },
			closed:  func(_ *Conn, err error) { t.Errorf("closed: %v", err) },
			drained: func(*Conn) { t.Error("drained") },
			eof:     func(*Conn) {},
			timeout: func(*Conn) { t.Error("timeout") },
		}
	})
	conn := dial(t, lis)
	c := receive(t, conns)
	for events := uint32(0); events < 32; events++ {
		on(t, c.Loop(), func() {
			_ = c.Loop().event(int(c.fd), events, 0)
			c.Pause()
			_ = c.Loop().event(int(c.fd), events, 0)
			c.Resume()
		})
	}
	send(t, conn, "alive")
	expect(t, conn, "alive")
	on(t, c.Loop(), func() { c.handler = &script{} })
	_ = g
}

func TestClosed_IsCalledOnceAndLast(t *testing.T) {
	closed := make(chan error, 10)
	var conns = make(chan *Conn, 1)
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		conns <- c
		return &script{
			input: func(c *Conn, in []byte) int {
				c.Abort()
				c.Abort()
				c.Close()
				c.Write([]byte("x"))
				c.WantDrained()
				c.Resume()
				c.SetDeadline(time.Second)
				if c.Alive() || localAddr(int(c.fd)).IsValid() || len(closed) > 0 {
					t.Error("after Abort: dead, and Closed still to come")
				}
				return -7 // ignored
			},
			drained: func(*Conn) { t.Error("Drained after the end") },
			closed:  func(_ *Conn, err error) { closed <- err },
		}
	})
	send(t, dial(t, lis), "hello")
	if err := receive(t, closed); err != nil {
		t.Errorf("Closed(%v)", err)
	}
	c := receive(t, conns)
	on(t, c.Loop(), func() { c.Abort(); c.Resume(); c.Pause(); c.Close(); c.Write([]byte("y")) })
	turns(t, g)
	if len(closed) != 0 || g.Conns() != 0 {
		t.Fatalf("Closed again %d times, %d connections", len(closed), g.Conns())
	}
}

func TestWrite_FailureEndsTheConnectionOutsideTheCall(t *testing.T) {
	closed := make(chan error, 1)
	conns := make(chan *Conn, 1)
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		c.Pause()
		conns <- c
		return &script{closed: func(_ *Conn, err error) { closed <- err }}
	})
	conn := dial(t, lis)
	c := receive(t, conns)
	_ = conn.SetLinger(0)
	conn.Close() // RST
	for alive := true; alive; {
		on(t, c.Loop(), func() {
			c.Write([]byte("x"))
			if alive = c.Alive(); !alive && len(closed) > 0 {
				t.Error("Closed from inside Write")
			}
		})
	}
	if err := receive(t, closed); !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("Closed(%v)", err)
	}
}

// A reset is noticed while the connection waits to write only.
func TestPause_AResetWithOutputPendingIsNoticed(t *testing.T) {
	closed := make(chan error, 1)
	written := make(chan struct{})
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		c.Pause()
		c.Write(make([]byte, large))
		close(written)
		return &script{closed: func(_ *Conn, err error) { closed <- err }}
	})
	conn := dial(t, lis)
	receive(t, written)
	_ = conn.SetLinger(0)
	conn.Close()
	if err := receive(t, closed); err == nil {
		t.Error("no error")
	}
}

func TestClose_LingerEndsWithoutFIN(t *testing.T) {
	closed := make(chan error, 1)
	_, lis := serve(t, Config{Linger: time.Second}, func(c *Conn) Handler {
		c.Write([]byte("bye"))
		c.Close()
		return &script{closed: func(_ *Conn, err error) { closed <- err }}
	})
	conn := dial(t, lis)
	expect(t, conn, "bye")
	if err := receive(t, closed); err != nil { // we never close
		t.Errorf("Closed(%v)", err)
	}
}

func TestClose_APeerThatTakesNothingIsCut(t *testing.T) {
	closed := make(chan error, 1)
	_, lis := serve(t, Config{Stall: time.Second}, func(c *Conn) Handler {
		c.Write(make([]byte, large))
		c.Close()
		return &script{closed: func(_ *Conn, err error) { closed <- err }}
	})
	dial(t, lis)
	if err := receive(t, closed); err != ErrStalled {
		t.Errorf("Closed(%v)", err)
	}
}

// After Close an octet that the peer takes does not renew its time; 16 KiB do.
func TestClose_APeerThatTakesLittleIsCut(t *testing.T) {
	const stall = time.Hour // the test moves the wheel
	begin := func(t *testing.T) (c *Conn, conn *net.TCPConn, closed chan error) {
		opened := make(chan *Conn, 1)
		closed = make(chan error, 1)
		_, lis := serve(t, Config{Loops: 1, Stall: stall, NotSentLowat: 1 << 10}, func(c *Conn) Handler {
			c.Write(make([]byte, 1<<20))
			c.Close()
			opened <- c
			return &script{closed: func(_ *Conn, err error) { closed <- err }}
		})
		conn = dialNarrow(t, lis)
		return receive(t, opened), conn, closed
	}
	taken := func(c *Conn) (n int64) {
		on(t, c.Loop(), func() { n = c.Taken() })
		return n
	}
	// take reads until the kernel has taken at least n octets since the last look, and returns
	// how many.
	take := func(c *Conn, conn *net.TCPConn, n int64) int64 {
		for begun := time.Now(); taken(c) < n; {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // there may be nothing
			_, _ = conn.Read(make([]byte, 512))
			if time.Since(begun) > hang {
				t.Fatal("the kernel takes nothing")
			}
		}
		return taken(c)
	}
	pass := func(c *Conn) {
		on(t, c.Loop(), func() {
			w := &c.Loop().wheel
			w.advance(w.now+int64(stall/time.Second)+1, expire)
		})
	}
	t.Run("little", func(t *testing.T) {
		c, conn, closed := begin(t)
		for take(c, conn, 1) >= minTaken { // at once
			pass(c)
		}
		pass(c)
		if err := receive(t, closed); err != ErrStalled {
			t.Errorf("Closed(%v)", err)
		}
	})
	t.Run("enough", func(t *testing.T) {
		c, conn, closed := begin(t)
		for range 5 {
			take(c, conn, minTaken)
			pass(c)
			turns(t, c.Loop().group)
			if len(closed) > 0 {
				t.Fatalf("Closed(%v)", <-closed)
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(hang))
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
		if err := receive(t, closed); err != nil {
			t.Errorf("Closed(%v)", err)
		}
	})
}

// dialNarrow is dial with a small receive buffer.
func dialNarrow(t testing.TB, lis *Listener) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) })
	}}
	conn, err := d.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func TestSetDeadline_FiresOnce(t *testing.T) {
	fired := make(chan *Conn, 10)
	_, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		c.SetDeadline(time.Millisecond)
		return &script{timeout: func(c *Conn) { fired <- c }}
	})
	dial(t, lis)
	c := receive(t, fired)
	on(t, c.Loop(), c.Pause) // served again for another reason
	on(t, c.Loop(), func() {
		for range 3 * slots { // the wheel goes around
			c.Loop().wheel.advance(c.Loop().wheel.now+1, expire)
		}
		c.SetDeadline(time.Second)
		c.SetDeadline(0)
		for range 3 * slots {
			c.Loop().wheel.advance(c.Loop().wheel.now+1, expire)
		}
	})
	on(t, c.Loop(), func() {})
	if len(fired) > 0 {
		t.Fatal("fired again")
	}
}

func TestPanic_EndsItsConnectionOnly(t *testing.T) {
	closed := make(chan error, 10)
	g, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		c.Write([]byte("hi"))
		return &script{
			input: func(c *Conn, in []byte) int {
				switch in[0] {
				case 'p':
					panic("planted")
				case 'n':
					return len(in) + 1
				}
				c.Write(in)
				return len(in)
			},
			closed: func(_ *Conn, err error) { closed <- err; panic("in Closed too") },
		}
	})
	bystander := dial(t, lis)
	expect(t, bystander, "hi")
	for _, fatal := range []string{"p", "n"} {
		conn := dial(t, lis)
		send(t, conn, fatal)
		expect(t, conn, "hi")
		if err := receive(t, closed); err == nil {
			t.Error("Closed without an error")
		}
	}
	on(t, g.Loops()[0], func() {})
	g.Loops()[0].Post(taskFunc(func() { panic("in a task") }))
	send(t, bystander, "x")
	expect(t, bystander, "x")
}

func TestOpen_PanicAndNil(t *testing.T) {
	calls := 0
	g, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		calls++
		switch calls {
		case 1:
			panic("planted")
		case 2:
			c.Write([]byte("421 no"))
			return nil
		}
		return echo(c)
	})
	if rest, _ := io.ReadAll(dial(t, lis)); len(rest) > 0 {
		t.Errorf("%q", rest)
	}
	refused := dial(t, lis)
	send(t, refused, "hello")
	if rest, err := io.ReadAll(refused); err != nil || string(rest) != "421 no" {
		t.Errorf("%q %v", rest, err)
	}
	refused.Close()
	eventually(t, "both are gone", func() bool { return g.Conns() == 0 })
	conn := dial(t, lis)
	send(t, conn, "x")
	expect(t, conn, "x")
}

// What the peer sent before a reset is presented before the reset is acted on.
func TestRead_WhatCameBeforeAResetIsPresented(t *testing.T) {
	conns, seen, closed := make(chan *Conn, 1), make(chan string, 1), make(chan error, 1)
	_, lis := serve(t, Config{}, func(c *Conn) Handler {
		conns <- c
		return &script{
			input:  func(_ *Conn, in []byte) int { seen <- string(in); return len(in) },
			closed: func(_ *Conn, err error) { closed <- err },
		}
	})
	conn := dial(t, lis)
	c := receive(t, conns)
	on(t, c.Loop(), func() { // neither is noticed before both are there
		send(t, conn, "QUIT\r\n")
		_ = conn.SetLinger(0)
		conn.Close()
	})
	if got := receive(t, seen); got != "QUIT\r\n" {
		t.Errorf("%q", got)
	}
	if err := receive(t, closed); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("Closed(%v)", err)
	}
}

// An urgent octet, which the poller reports and read(2) skips, must not make the
// loop spin or lose what follows.
func TestRead_UrgentDataIsNoTrap(t *testing.T) {
	conns, seen := make(chan *Conn, 1), make(chan string, 10)
	g, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		conns <- c
		return &script{input: func(_ *Conn, in []byte) int { seen <- string(in); return len(in) }}
	})
	conn := dial(t, lis)
	c := receive(t, conns)
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) { sendErr = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) })
	if err != nil || sendErr != nil {
		t.Fatal(err, sendErr)
	}
	turns(t, g)
	on(t, c.Loop(), func() {
		var ready [1]unix.PollFd
		ready[0] = unix.PollFd{Fd: c.fd, Events: readable}
		if _, err := unix.Poll(ready[:], 0); err != nil || ready[0].Revents != 0 {
			t.Errorf("still reported as %#x (%v): the loop spins", ready[0].Revents, err)
		}
	})
	send(t, conn, "x")
	for got := receive(t, seen); got != "x"; got = receive(t, seen) {
		if got != "!" {
			t.Errorf("%q", got)
		}
	}
}

// A peer that has ended its session is not waited for; one that sends more is, and so
// its reply is not lost by a reset.
func TestPart(t *testing.T) {
	closed := make(chan error, 1)
	_, lis := serve(t, Config{Linger: time.Hour}, func(c *Conn) Handler {
		return &script{
			input: func(c *Conn, in []byte) int {
				c.Write([]byte("bye"))
				c.Part()
				return len(in)
			},
			closed: func(_ *Conn, err error) { closed <- err },
		}
	})
	conn := dial(t, lis)
	send(t, conn, "quit")
	expect(t, conn, "bye")
	if err := receive(t, closed); err != nil { // without a FIN of ours
		t.Errorf("Closed(%v)", err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the reply: %d, %v", n, err)
	}
}

func TestPart_WaitsWhileInputIsKept(t *testing.T) {
	closed := make(chan error, 1)
	paused := make(chan *Conn, 1)
	_, lis := serve(t, Config{Linger: time.Hour}, func(c *Conn) Handler {
		return &script{
			input:  func(c *Conn, _ []byte) int { c.Pause(); paused <- c; return 0 },
			closed: func(_ *Conn, err error) { closed <- err },
		}
	})
	conn := dial(t, lis)
	send(t, conn, "quit and more")
	c := receive(t, paused)
	on(t, c.Loop(), func() {
		c.Write([]byte("bye"))
		c.Part()
	})
	expect(t, conn, "bye")
	on(t, c.Loop(), func() {
		if c.phase != lingering {
			t.Errorf("phase %d", c.phase)
		}
	})
	conn.Close()
	receive(t, closed)
}
