package loop

// slots is the number of ticks ahead that the wheel distinguishes. Later deadlines
// wait in the last slot and are placed again when it comes up.
const slots = 512

// wheel is a hashed timer wheel with slots of one tick, which is a second.
//
// It is lazy: moving a deadline away, which is what traffic does, only stores the
// new one; the timer is placed again when its old slot comes up. Only a deadline
// that is nearer than the place moves the timer at once.
type wheel struct {
	now  int64 // the last tick that was handled
	slot [slots]*Conn
}

// timer is a connection's place in the wheel.
type timer struct {
	next, prev *Conn
	deadline   int32 // tick at which it fires; 0: none
	place      int32 // tick whose slot holds it; 0: not in the wheel
}

// maxAfter bounds how far a deadline is away, in ticks: a connection is small, so a tick
// is an int32.
const maxAfter = 1 << 30

// set lets c fire after at least the given ticks.
func (w *wheel) set(c *Conn, after int64) {
	c.timer.deadline = int32(w.now + min(after, maxAfter) + 1) // now is a moment within the tick
	switch {
	case c.timer.place == 0:
		w.insert(c)
	case c.timer.deadline < c.timer.place:
		w.remove(c)
		w.insert(c)
	}
}

// clear lets c not fire. It leaves the wheel when its slot comes up.
func (w *wheel) clear(c *Conn) { c.timer.deadline = 0 }

// advance handles the ticks up to now and calls fire for each timer that is due,
// out of the wheel and with its deadline cleared. fire must not change the wheel.
func (w *wheel) advance(now int64, fire func(*Conn)) {
	for w.now < now {
		w.now++
		// The slot empties: what isn't due is placed at most slots-1 ticks ahead,
		// never in this slot again.
		for head := &w.slot[w.now%slots]; *head != nil; {
			c := *head
			w.remove(c)
			switch {
			case c.timer.deadline == 0:
			case int64(c.timer.deadline) > w.now:
				w.insert(c)
			default:
				c.timer.deadline = 0
				fire(c)
			}
		}
	}
}

func (w *wheel) insert(c *Conn) {
	t := &c.timer
	t.place = min(t.deadline, int32(w.now+slots-1))
	head := &w.slot[t.place%slots]
	t.next = *head
	if t.next != nil {
		t.next.timer.prev = c
	}
	*head = c
}

func (w *wheel) remove(c *Conn) {
	t := &c.timer
	if t.place == 0 {
		return
	}
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else {
		w.slot[t.place%slots] = t.next
	}
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	t.next, t.prev, t.place = nil, nil, 0
}
