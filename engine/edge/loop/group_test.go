package loop

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPost_OneWakeUpForMany(t *testing.T) {
	g, err := New(Config{Loops: 1, Log: quiet}) // not running: the tasks are not taken
	if err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	l := g.Loops()[0]
	for range 1000 {
		l.Post(taskFunc(func() {}))
	}
	var count [8]byte
	if n, err := unix.Read(l.mailbox.eventfd, count[:]); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if n := binary.NativeEndian.Uint64(count[:]); n != binary.NativeEndian.Uint64(one) {
		t.Fatalf("woken %d times", n/binary.NativeEndian.Uint64(one))
	}
}

func TestPost_KeepsTheOrderOfEachGoroutine(t *testing.T) {
	const posters, each = 8, 5000 // more than a turn takes
	g := group(t, Config{Loops: 1})
	var last [posters]int // only the loop uses it
	var all sync.WaitGroup
	all.Add(posters * each)
	for p := range posters {
		go func() {
			for i := 1; i <= each; i++ {
				g.Loops()[0].Post(taskFunc(func() {
					if last[p] != i-1 {
						t.Errorf("poster %d: task %d after %d", p, i, last[p])
					}
					last[p] = i
					all.Done()
				}))
			}
		}()
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	receive(t, done)
}

func TestStop_ClosesAllAndRunsWhatWasPosted(t *testing.T) {
	var closed, ran, accepted atomic.Int64
	opened := make(chan *Conn, 100)
	g, lis := serve(t, Config{}, func(c *Conn) Handler {
		opened <- c
		return &script{closed: func(_ *Conn, err error) {
			if err != ErrStopped {
				t.Errorf("Closed(%v)", err)
			}
			closed.Add(1)
		}}
	})
	for range 50 {
		dial(t, lis)
		c := receive(t, opened)
		c.Loop().Post(taskFunc(func() { c.Pause() }))
	}
	var posters sync.WaitGroup
	for _, l := range g.Loops() {
		for range 4 {
			posters.Go(func() {
				for l.Post(taskFunc(func() { ran.Add(1) })) {
					accepted.Add(1)
				}
			})
		}
	}
	g.Stop()
	g.Stop()
	posters.Wait()
	if closed.Load() != 50 || g.Conns() != 0 {
		t.Errorf("%d of 50 closed, %d left", closed.Load(), g.Conns())
	}
	if ran.Load() != accepted.Load() {
		t.Errorf("%d tasks accepted, %d run", accepted.Load(), ran.Load())
	}
	if _, err := g.Listen("127.0.0.1:0", nil, echo); err != ErrStopped {
		t.Errorf("Listen after Stop: %v", err)
	}
}

// What a handler has belongs to the goroutine whose Post returned false: Closed was called
// before. The counters have no lock, for the race detector.
func TestStop_ClosedIsCalledBeforePostFails(t *testing.T) {
	for range 20 {
		g := group(t, Config{Loops: 2})
		left := make(map[*Loop]*int)
		for _, l := range g.Loops() {
			left[l] = new(int)
		}
		opened := make(chan *Conn, 100)
		lis := listen(t, g, func(c *Conn) Handler {
			n := left[c.Loop()]
			*n++
			opened <- c
			return &script{closed: func(*Conn, error) { *n-- }}
		})
		for range 10 {
			dial(t, lis)
			receive(t, opened)
		}
		var posters sync.WaitGroup
		for l, n := range left {
			posters.Go(func() {
				for l.Post(taskFunc(func() {})) {
					runtime.Gosched()
				}
				if *n != 0 {
					t.Errorf("%d handlers were not closed when Post returned false", *n)
				}
			})
		}
		g.Stop()
		posters.Wait()
	}
}

func TestStop_LeavesNoDescriptorOpen(t *testing.T) {
	cycle := func() {
		g, err := New(Config{Loops: 3, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		lis := listen(t, g, echo)
		g.Start()
		conn := dial(t, lis)
		send(t, conn, "x")
		expect(t, conn, "x")
		g.Stop()
		conn.Close()
		unstarted, err := New(Config{Loops: 3, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		unstarted.Stop()
	}
	cycle()
	before := lowestFree(t)
	for range 20 {
		cycle()
	}
	if after := lowestFree(t); after > before {
		t.Errorf("the lowest free descriptor was %d, is %d", before, after)
	}
}

func lowestFree(t *testing.T) int {
	fd, err := unix.Open("/dev/null", unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	return fd
}
