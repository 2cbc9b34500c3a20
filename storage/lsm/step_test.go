package lsm

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// stepClock is a machine's clock that can be set, and beside it time as it passes.
type stepClock struct {
	clock
	passed time.Duration
}

func newStepClock() *stepClock {
	return &stepClock{clock: clock{t: time.UnixMilli(1_800_000_000_000)}}
}

func (c *stepClock) pass() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// wait lets time pass.
func (c *stepClock) wait(d time.Duration) {
	c.add(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// step sets the machine's clock.
func (c *stepClock) step(d time.Duration) { c.add(d) }

func openStepped(t *testing.T, fs vfs.FS, c *stepClock) *Store {
	t.Helper()
	opts := testOptions(fs)
	opts.Now, opts.pass = c.now, c.pass
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// steps are how far the machine's clock is off.
var steps = []time.Duration{
	10 * time.Second, -10 * time.Second, time.Minute, -time.Minute, time.Hour, -time.Hour,
	48 * time.Hour, -48 * time.Hour, 400 * 24 * time.Hour, -400 * 24 * time.Hour,
}

// retry is the wait of these tests; grain is how late a destination may wake.
const (
	retry = 15 * time.Minute
	grain = 2*wakeSpan*time.Microsecond + 25*time.Second
	near  = stampStep*time.Microsecond + 20*time.Second // what a clock may be off without a step
)

// due is how many entries a scheduler that looks now finds due. It puts the destination
// to sleep again.
func (c *stepClock) due(t *testing.T, s *Store) int {
	t.Helper()
	n := 0
	if err := s.Awake(func(domain string) {
		es, err := s.ReadDue(domain, storage.Cursor{}, 1000)
		if err != nil {
			t.Error(err)
		}
		n += len(es)
		s.Sleep(domain, storage.Cursor{}, time.Time{})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetHistory(time.UnixMilli(0)); err != nil { // Sleep is carried out
		t.Fatal(err)
	}
	return n
}

// deferAll puts all that is due off by a wait.
func (c *stepClock) deferAll(t *testing.T, s *Store, domain string) {
	t.Helper()
	es, err := s.ReadDue(domain, storage.Cursor{}, 1000)
	if err != nil || len(es) == 0 {
		t.Fatalf("%d entries are due, %v", len(es), err)
	}
	var ss []storage.Settlement
	for _, e := range es {
		ss = append(ss, storetest.Later(e, c.now().Add(retry), "4.4.1"))
	}
	if err := s.Settle(ss); err != nil {
		t.Fatal(err)
	}
	s.Sleep(domain, storage.Cursor{}, time.Time{})
}

// What is deferred before, while and after the clock is wrong waits as long as it is to,
// whatever the clock does, and over a start after a crash at any of these moments.
func TestQueuedMailWaitsAsLongAsItIsToWhateverTheClockDoes(t *testing.T) {
	const moments = 3 // before the clock steps, while it is wrong, when it is right again
	for _, step := range steps {
		for deferred := range moments {
			for crash := range moments + 1 {
				t.Run(fmt.Sprintf("%v, deferred at %d, crash at %d", step, deferred, crash), func(t *testing.T) {
					mem, c := vfs.NewCrashableMem(), newStepClock()
					s := openStepped(t, mem, c)
					defer func() { _ = s.Close() }()
					at := func(moment int) {
						enqueue(t, s, "a.test")
						if c.due(t, s); moment == deferred {
							c.deferAll(t, s, "a.test")
							if n := c.due(t, s); n != 0 {
								t.Fatalf("%d entries are due at once", n)
							}
						}
						if moment == crash {
							after := mem.CrashClone(vfs.CrashCloneCfg{})
							_ = s.Close()
							mem, s = after, openStepped(t, after, c)
						}
						c.wait(time.Second)
					}
					at(0)
					c.step(step)
					at(1)
					c.step(-step)
					at(2)
					const settle = 40
					for range settle { // what came after is put off as well
						c.wait(4 * time.Second)
						if c.due(t, s) > 0 {
							c.deferAll(t, s, "a.test")
						}
					}
					// A start with a clock that is ahead counts the time since the end before.
					early := crash == 1 && step > stampStep*time.Microsecond
					for waited := settle * 4 * time.Second; waited < retry-near-time.Minute; waited += time.Minute {
						if n := c.due(t, s); n != 0 && !early {
							t.Fatalf("%d entries are due after %v", n, waited)
						} else if n != 0 {
							return
						}
						c.wait(time.Minute)
					}
					c.wait(settle*4*time.Second + 2*near + grain)
					if n := c.due(t, s); n != 3 {
						t.Errorf("%d entries are due after %v", n, retry)
					}
					storetest.Clean(t, s)
				})
			}
		}
	}
}

// A message is as old as the time that has passed since it came, however the clock
// steps, also while its entry is in memory.
func TestTheAgeOfAMessageKnowsNoSteps(t *testing.T) {
	for _, step := range steps {
		mem, c := vfs.NewMem(), newStepClock()
		s := openStepped(t, mem, c)
		put := func(domain string) storage.EntryID {
			t.Helper()
			id, err := storetest.Enqueue(arrivesAt{s, c.now()}, storetest.Body(10, "x"), nil, storetest.Waiting(domain, "x"))
			if err != nil {
				t.Fatal(err)
			}
			return storage.EntryID{Message: id}
		}
		want := func(when string, id storage.EntryID, age, atMost time.Duration) {
			t.Helper()
			e, err := s.QueuedEntry(id)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.now().Sub(e.Arrival); got < age-near || got > atMost+near {
				t.Errorf("step %v, %s: its age is %v, want %v to %v", step, when, got, age, atMost)
			}
			if wait := e.DueAt().Sub(c.now()); wait > retry+near {
				t.Errorf("step %v, %s: it is said to be due in %v", step, when, wait)
			}
			// By the filters that the sweep uses.
			old, young := 0, 0
			count := func(n *int) func(e *storage.QueueEntry) bool {
				return func(e *storage.QueueEntry) bool {
					if e.ID == id {
						*n++
					}
					return true
				}
			}
			if err := s.Queued(storage.QueueFilter{ArrivedBefore: c.now().Add(-age + 2*near)}, count(&old)); err != nil {
				t.Fatal(err)
			}
			if err := s.Queued(storage.QueueFilter{ArrivedBefore: c.now().Add(-atMost - 2*near)}, count(&young)); err != nil {
				t.Fatal(err)
			}
			if old != 1 || young != 0 {
				t.Errorf("step %v, %s: %d are as old as that, %d older", step, when, old, young)
			}
		}
		early := put("a.test")
		c.wait(2 * time.Hour)
		c.step(step)
		want("the clock has stepped", early, 2*time.Hour, 2*time.Hour)
		during := put("b.test")
		c.wait(time.Hour)
		want("wrong for an hour", early, 3*time.Hour, 3*time.Hour)
		want("wrong for an hour", during, time.Hour, time.Hour)
		c.deferAll(t, s, "a.test") // written again
		c.step(-step)
		c.wait(time.Hour)
		want("right again", early, 4*time.Hour, 4*time.Hour)
		want("right again", during, 2*time.Hour, 2*time.Hour)

		// Over a start the clock is all there is: ahead, it ages the queue by a day at most.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c.step(step)
		s = openStepped(t, mem, c)
		// A clock that is late is not believed for what came before the last stamp, an hour ago.
		more := min(max(step, 0), longestGap*time.Microsecond)
		less := min(max(-step, 0), time.Hour)
		want("a start", early, 4*time.Hour-less, 4*time.Hour+more)
		c.step(-step)
		c.wait(time.Hour)
		want("right after a start", early, 5*time.Hour-less, 5*time.Hour+more)
		storetest.Clean(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// arrivesAt is a store to which mail comes at a time.
type arrivesAt struct {
	*Store
	at time.Time
}

func (a arrivesAt) Deliver(dl *storage.Delivery) {
	dl.Arrival = a.at
	a.Store.Deliver(dl)
}

// The row of an entry keeps how far the clocks were apart, and rows without that are as
// they always were.
func TestTheRowOfAnEntryKeepsTheLead(t *testing.T) {
	for _, lead := range []time.Duration{0, time.Microsecond, -time.Microsecond, 400 * 24 * time.Hour, -400 * 24 * time.Hour, 60 * 365 * 24 * time.Hour} {
		for _, front := range []string{"", "X: y\r\n"} {
			e := storetest.Waiting("a.test", "x")
			e.Arrival, e.Ahead, e.Envelope.Front = time.UnixMilli(4), lead, front
			v := appendQueueEntry(nil, e)
			got, err := parseQueueEntry(v)
			if err != nil || got.Ahead != lead || got.Envelope.Front != front || len(got.Recipients) != 1 {
				t.Errorf("%v: came back as %v, %v", lead, got, err)
			}
			if plain := v[0] == queueVersion; plain != (lead == 0 && front == "") {
				t.Errorf("lead %v, front %q: version %d", lead, front, v[0])
			}
		}
	}
}

// Ids have the time in them. When they alone are ahead, because only maildrops got mail
// while the clock was, queued mail is found by its age all the same.
func TestIDsThatAreAheadHideNoQueuedMail(t *testing.T) {
	mem, c := vfs.NewMem(), newStepClock()
	s := openStepped(t, mem, c)
	a := accountIn(t, s, "alice")
	c.step(400 * 24 * time.Hour)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStepped(t, mem, c)
	if _, err := storetest.Deliver(s, storetest.Body(10, "x"), a); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.step(-400 * 24 * time.Hour)
	s = openStepped(t, mem, c)
	defer s.Close()
	if _, err := storetest.Enqueue(arrivesAt{s, c.now()}, storetest.Body(10, "x"), nil, storetest.Waiting("a.test", "x")); err != nil {
		t.Fatal(err)
	}
	c.wait(time.Hour)
	if all := storetest.All(t, s, storage.QueueFilter{ArrivedBefore: c.now().Add(-30 * time.Minute)}); len(all) != 1 {
		t.Errorf("%d entries are older than half an hour", len(all))
	} else if age := c.now().Sub(all[0].Arrival); age < time.Hour-near || age > time.Hour+near {
		t.Errorf("its age is %v", age)
	}
	if all := storetest.All(t, s, storage.QueueFilter{ArrivedBefore: c.now().Add(-2 * time.Hour)}); len(all) != 0 {
		t.Errorf("%d entries are older than two hours", len(all))
	}
}
