package budget

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postrider/engine/edge/loop"
)

// hang is how long a test waits for what must come; it only guards against
// hanging for ever.
const hang = time.Minute

type taskFunc func()

func (f taskFunc) Run() { f() }

func newGroup(t *testing.T) *loop.Group {
	t.Helper()
	g, err := loop.New(loop.Config{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	t.Cleanup(g.Stop)
	return g
}

func TestReserve_UpToTheMaximumAndNoFurther(t *testing.T) {
	l := NewLedger(100)
	if !l.Reserve(60) || !l.Reserve(40) || l.Reserve(1) {
		t.Fatal("60 and 40 fit in 100, 1 more does not")
	}
	l.Release(10)
	if l.Used() != 90 || l.Reserve(11) || !l.Reserve(10) {
		t.Fatal("what is released can be reserved again")
	}
}

func TestReserve_OverflowIsNoRoom(t *testing.T) {
	l := NewLedger(1<<63 - 1)
	if !l.Reserve(1<<62) || !l.Reserve(1<<62-1) || l.Reserve(1<<62) {
		t.Fatal("a sum beyond int64 was taken for room")
	}
}

func TestRelease_ServesInOrderAndOnlyWithRoom(t *testing.T) {
	g := newGroup(t)
	l := NewLedger(100)
	l.Reserve(100)
	order := make(chan int, 3)
	for i := range 3 {
		w := &Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { order <- i })}
		if l.Wait(w, 50) {
			t.Fatal("there was no room")
		}
	}
	if l.Reserve(0) {
		t.Error("Reserve went past the queue")
	}
	l.Release(40) // for none of them
	if l.Used() != 60 || l.waiting.Load() != 3 {
		t.Fatalf("used %d, waiting %d", l.Used(), l.waiting.Load())
	}
	l.Release(60)
	for want := range 2 {
		if got := receive(t, order); got != want {
			t.Fatalf("waiter %d came, not %d", got, want)
		}
	}
	if l.Used() != 100 || l.waiting.Load() != 1 {
		t.Fatalf("used %d, waiting %d", l.Used(), l.waiting.Load())
	}
	l.Release(50)
	if got := receive(t, order); got != 2 {
		t.Fatalf("waiter %d came, not 2", got)
	}
}

func TestWait_TakesTheRoomThatIsThere(t *testing.T) {
	l := NewLedger(100)
	if !l.Wait(&Waiter{}, 100) || l.Used() != 100 || l.waiting.Load() != 0 {
		t.Fatal("there was room")
	}
}

func TestWait_PanicsForAWishThatCanNotComeTrue(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	NewLedger(100).Wait(&Waiter{}, 101)
}

func TestCancel_LetsTheNextOneIn(t *testing.T) {
	g := newGroup(t)
	l := NewLedger(100)
	l.Reserve(50)
	came := make(chan int, 2)
	large := &Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { came <- 100 })}
	small := &Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { came <- 50 })}
	l.Wait(large, 100)
	l.Wait(small, 50)
	if !l.Cancel(large) {
		t.Fatal("large was waiting")
	}
	if got := receive(t, came); got != 50 {
		t.Fatalf("%d came", got)
	}
	if l.Cancel(small) || l.Cancel(large) {
		t.Error("no caller is waiting any more")
	}
	if l.Used() != 100 {
		t.Errorf("used %d", l.Used())
	}
}

func TestRelease_ALoopThatEndedPassesItsOctetsOn(t *testing.T) {
	ended, err := loop.New(loop.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	ended.Stop()
	g := newGroup(t)
	l := NewLedger(10)
	l.Reserve(10)
	came := make(chan int, 1)
	l.Wait(&Waiter{Loop: ended.Loops()[0], Task: taskFunc(func() { came <- 1 })}, 10)
	l.Wait(&Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { came <- 2 })}, 10)
	l.Release(10)
	if got := receive(t, came); got != 2 {
		t.Fatalf("waiter %d came", got)
	}
	if l.Used() != 10 {
		t.Errorf("used %d", l.Used())
	}
}

// Many sessions reserve, wait, give up and release at random. The sum of what
// they hold, counted by themselves, never exceeds the maximum; each gets through.
func TestLedger_ManySessions(t *testing.T) {
	const max, sessions, rounds = 1000, 64, 300
	g := newGroup(t)
	l := NewLedger(max)
	var held atomic.Int64
	use := func(n int64) {
		if sum := held.Add(n); sum > max {
			t.Errorf("%d octets are held of %d", sum, max)
		}
		held.Add(-n)
		l.Release(n)
	}
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			granted := make(chan struct{}, 1)
			w := &Waiter{Loop: g.Loops()[i%2], Task: taskFunc(func() { granted <- struct{}{} })}
			for range rounds {
				n := 1 + rnd.Int64N(max/2)
				if !l.Reserve(n) && !l.Wait(w, n) {
					if rnd.IntN(4) == 0 && l.Cancel(w) {
						continue
					}
					<-granted
				}
				use(n)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	receive(t, done)
	if l.Used() != 0 || l.waiting.Load() != 0 || l.first != nil || l.last != nil {
		t.Errorf("at the end: used %d, waiting %d", l.Used(), l.waiting.Load())
	}
}

func receive[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hang):
		t.Fatal("nothing came")
	}
	return v
}

func BenchmarkReserveRelease(b *testing.B) {
	l := NewLedger(1 << 30)
	b.ReportAllocs()
	for b.Loop() {
		l.Reserve(4096)
		l.Release(4096)
	}
}

// A ledger that shrinks takes nothing from what is booked, and gives nothing out until enough
// of it has run out. One that grows serves the callers that wait.
func TestSetMax(t *testing.T) {
	g := newGroup(t)
	l := NewLedger(100)
	l.Reserve(90)
	l.SetMax(50)
	if l.Used() != 90 || l.Reserve(1) || l.Max() != 50 {
		t.Errorf("used %d of %d after it has shrunk", l.Used(), l.Max())
	}
	came := make(chan int, 2)
	l.Wait(&Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { came <- 1 })}, 20)
	l.Release(50)
	if len(came) != 0 || l.Used() != 40 {
		t.Errorf("used %d: 20 more do not fit into 50", l.Used())
	}
	l.Release(10)
	if receive(t, came) != 1 || l.Used() != 50 {
		t.Errorf("used %d", l.Used())
	}
	l.Wait(&Waiter{Loop: g.Loops()[0], Task: taskFunc(func() { came <- 2 })}, 50)
	l.SetMax(100)
	if receive(t, came) != 2 || l.Used() != 100 {
		t.Errorf("used %d after it has grown", l.Used())
	}
}
