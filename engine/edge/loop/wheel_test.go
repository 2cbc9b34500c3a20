package loop

import (
	"math/rand/v2"
	"testing"
)

func TestWheel_FiresAfterTheTimeAndOnce(t *testing.T) {
	for _, after := range []int64{1, 2, slots - 2, slots - 1, slots, slots + 1, 3*slots + 7} {
		w, c := &wheel{now: 1000}, &Conn{}
		w.set(c, after)
		var fired []int64
		for range 5 * slots {
			w.advance(w.now+1, func(*Conn) { fired = append(fired, w.now) })
		}
		if len(fired) != 1 || fired[0] != 1000+after+1 {
			t.Errorf("after %d: fired at %v", after, fired)
		}
	}
}

// The wheel against the obvious: a map of deadlines.
func TestWheel_LikeAMapOfDeadlines(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		w, deadline := &wheel{}, map[*Conn]int64{}
		conns := make([]*Conn, 50)
		for i := range conns {
			conns[i] = &Conn{}
		}
		for range 5000 {
			c := conns[rnd.IntN(len(conns))]
			switch rnd.IntN(5) {
			case 0, 1:
				after := 1 + rnd.Int64N(1+rnd.Int64N(3*slots))
				w.set(c, after)
				deadline[c] = w.now + after + 1
			case 2:
				w.clear(c)
				delete(deadline, c)
			case 3:
				w.remove(c)
				w.clear(c)
				delete(deadline, c)
			case 4:
				to := w.now + rnd.Int64N(60)
				fired := map[*Conn]bool{}
				w.advance(to, func(c *Conn) {
					if deadline[c] != w.now || fired[c] {
						t.Fatalf("seed %d: fired at %d, not at %d", seed, w.now, deadline[c])
					}
					fired[c] = true
				})
				for c, at := range deadline {
					if fired[c] != (at <= to) {
						t.Fatalf("seed %d: now %d, deadline %d, fired %v", seed, to, at, fired[c])
					}
					if fired[c] {
						delete(deadline, c)
					}
				}
			}
		}
	}
}

func TestWheel_MovingADeadlineAwayDoesNotMoveTheTimer(t *testing.T) {
	w, c := &wheel{}, &Conn{}
	w.set(c, 10)
	place := c.timer.place
	w.set(c, 100)
	if c.timer.place != place {
		t.Error("moved")
	}
	w.set(c, 5)
	if c.timer.place >= place {
		t.Error("a nearer deadline has to move it")
	}
}

func BenchmarkWheelTouch(b *testing.B) {
	w, c := &wheel{}, &Conn{}
	for b.Loop() {
		w.set(c, 300)
	}
}
