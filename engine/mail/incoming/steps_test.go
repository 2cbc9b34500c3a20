package incoming

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"postrider/codec/dot"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// stage is a store with its pools, and the check of a message. It counts what a message
// books, and notes what each step waits for: play carries that out.
type stage struct {
	t       testing.TB
	outcome string // what the check does; see outcomes
	atOnce  bool   // what a step waits for is carried out at once, on another goroutine

	mu       sync.Mutex
	drafts   int // open now
	expected int
	checks   int
	notified int
	waiting  []wait
	got      *storage.Delivery // what was stored, and its body
	body     string
	commits  atomic.Int64
}

// wait is what a step waits for. full is called instead of run for a pool without room.
type wait struct {
	name      string
	run, full func()
}

// add counts under the lock.
func (s *stage) add(n *int, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += by
}

func (s *stage) wait(w wait) {
	if s.atOnce {
		go w.run()
		return
	}
	s.waiting = append(s.waiting, w)
}

// booked is what is booked now: nothing is "".
func (s *stage) booked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drafts == 0 && s.expected == 0 && s.checks == 0 && s.commits.Load() == 0 {
		return ""
	}
	return fmt.Sprintf("%d drafts, %d expected, %d checks, %d commits", s.drafts, s.expected, s.checks, s.commits.Load())
}

func (s *stage) Admit(int64) error { return nil }
func (s *stage) NewDraft(int64) storage.Draft {
	s.add(&s.drafts, 1)
	return &staged{stage: s}
}

func (s *stage) Deliver(d *storage.Delivery) {
	s.wait(wait{name: "store", run: func() {
		draft := d.Draft.(*staged)
		draft.end()
		s.mu.Lock()
		s.got, s.body = d, string(draft.body)
		s.mu.Unlock()
		d.Done(d, storage.NewReceipt(7), nil)
	}})
}

func (s *stage) OpenDraft(d storage.Draft) (storage.Message, error) {
	return &pieces{string(d.(*staged).body)}, nil
}

// staged is a draft.
type staged struct {
	stage *stage
	body  []byte
	over  bool
}

func (d *staged) ID() storage.MessageID    { return 42 }
func (d *staged) Backlog() int64           { return 0 }
func (d *staged) Notify(_ int64, f func()) { f() }
func (d *staged) Append(run []byte) {
	if d.over {
		d.stage.t.Error("octets for a draft that is over")
	}
	d.body = append(d.body, run...)
}
func (d *staged) Discard() { d.end() }
func (d *staged) end() {
	if !d.over {
		d.over = true
		d.stage.add(&d.stage.drafts, -1)
	}
}

// checked is the check of a message. It takes the field X-Gone away, and holds the last line
// back.
type checked struct {
	*stage
	tail  []byte
	ended atomic.Bool
}

const gone = "X-Gone: 1\r\n"

// outcomes of a check. With "panics" Finish does, with "panics later" MayNotify.
var outcomes = []string{"none", "passes", "notifies", "refuses", "busy", "fails", "panics", "panics later"}

func (c *checked) Pass(run []byte, scratch *[]byte) []byte {
	*scratch = append((*scratch)[:0], strings.TrimPrefix(string(run), gone)...)
	if rest, ok := strings.CutSuffix(string(*scratch), "x\r\n"); ok {
		c.tail = []byte("x\r\n")
		return (*scratch)[:len(rest)]
	}
	return *scratch
}

func (c *checked) IsFull() bool      { return false }
func (c *checked) WhenRoom(f func()) { f() }

func (c *checked) Finish(id storage.MessageID, f *Finding, done func()) {
	if c.outcome == "panics" {
		panic("the check panics")
	}
	c.wait(wait{name: "check", run: func() {
		dropped := c.ended.Load()
		c.Abort()
		switch {
		case dropped:
			f.Err = ErrDropped
		case c.outcome == "refuses":
			f.Refusal = &smtp.Reply{Code: 550, Enhanced: "5.7.1", Text: "No"}
		case c.outcome == "busy":
			f.Err = ErrNoRoom
		case c.outcome == "fails":
			f.Err = storage.ErrFailed
		default:
			f.Tail, f.Removed = c.tail, int64(len(gone))
			f.Results = append(f.Results[:0], fmt.Sprintf("Authentication-Results: %v\r\n", id)...)
		}
		done()
	}})
}

func (c *checked) MayNotify() bool {
	if c.outcome == "panics later" {
		panic("the check panics")
	}
	return c.outcome == "notifies"
}

func (c *checked) Notified(n int) { c.add(&c.notified, n) }
func (c *checked) Abort() {
	if !c.ended.Swap(true) {
		c.add(&c.checks, -1)
	}
}

// sender sends messages over a stage.
type sender struct {
	m     Message
	head  message.Head
	stage *stage
	dones chan outcome
	rcpts []smtp.RcptArgs
}

func newSender(t testing.TB, check string) *sender {
	s := &stage{t: t, outcome: check}
	p := newPlace()
	p.names["list"] = storage.Address{Targets: []string{"x@far.example"}}
	c := &sender{stage: s, dones: make(chan outcome, 10)}
	c.m.Init(&Entrance{
		Inbox: s, Drafts: s, Router: router.New(p, router.Settings{DefaultDomain: "a.example"}), MaxHeld: 4 << 10,
		Convert: func(work, full func()) { s.wait(wait{"convert", work, full}) },
		Place:   func(_ bool, work, full func()) { s.wait(wait{"route", work, full}) },
		Expect:  func(n int) { s.add(&s.expected, n) },
	}, func(r storage.Receipt, err error) { c.dones <- outcome{r, err} })
	return c
}

const told = gone + "Delivered-To: list@a.example\r\nContent-Type: text/plain\r\n\r\nx\r\n"

// begin sends a message up to its end.
func (c *sender) begin(text string, to ...string) {
	c.m.Begin(smtp.ReversePath{}, c.stage.outcome == "none")
	c.m.Expect()
	c.rcpts = nil
	for _, path := range to {
		r := *rcpt(c.stage.t, path)
		r.Notify = smtp.NotifySuccess
		c.rcpts = append(c.rcpts, r)
		c.m.Recipient(&c.rcpts[len(c.rcpts)-1])
	}
	c.head = message.Head{}
	from := From{Received: message.Received{Host: "mx.a.example"}, Head: &c.head, At: at, Untrusted: true}
	if c.stage.outcome != "none" {
		c.stage.add(&c.stage.checks, 1)
		from.Check = &checked{stage: c.stage}
	}
	c.m.Open(&from)
	c.head.Feed([]byte(text))
	c.m.Append([]byte(text))
}

func (c *sender) finish(text string, binary bool) {
	e := End{Size: int64(len(dot.AppendUnstuffed(nil, []byte(text)))), Recipients: c.rcpts, Committing: &c.stage.commits}
	if binary {
		e.Envelope.Body = smtp.BodyBinaryMIME
	}
	c.m.Finish(&e)
}

// play carries out what the steps wait for, and returns it. When the wait numbered drop
// begins the message is dropped; for the one numbered full the pool has no room.
func (c *sender) play(drop, full int) (waits []string) {
	for n := 0; len(c.stage.waiting) > 0; n++ {
		w := c.stage.waiting[0]
		c.stage.waiting = c.stage.waiting[1:]
		waits = append(waits, w.name)
		if n == drop {
			c.m.Drop()
			c.m.Drop() // once is enough
		}
		if n == full && w.full != nil {
			w.full()
			continue
		}
		w.run()
	}
	return waits
}

// waitsOf is what a message with this outcome of its check waits for, and its error.
func waitsOf(outcome string, binary bool) (waits []string, err error) {
	waits = []string{"route"} // it was at the list before
	switch outcome {
	case "panics":
		return waits, storage.ErrTemporary
	case "none":
	case "refuses":
		return append(waits, "check"), errRefused
	case "busy":
		return append(waits, "check"), ErrNoRoom
	case "fails":
		return append(waits, "check"), storage.ErrFailed
	case "panics later":
		return append(waits, "check"), storage.ErrTemporary
	case "notifies":
		waits = append(waits, "check", "route")
	default:
		waits = append(waits, "check")
	}
	if binary {
		waits = append(waits, "convert")
	}
	return append(waits, "store"), nil
}

// Whatever the check decides and whenever the message is dropped: done is called once, and
// nothing stays booked. The Message is ready for the next one.
func TestEachOutcomeAndEachMomentOfDrop(t *testing.T) {
	for _, outcome := range outcomes {
		for _, binary := range []bool{false, true} {
			all, _ := waitsOf(outcome, binary)
			for drop := range len(all) + 1 { // after the last: when all is done
				c := newSender(t, outcome)
				for _, drop := range []int{drop, never, drop} {
					c.one(binary, drop)
				}
			}
		}
	}
}

const never = -1

// one sends a message that is dropped at the wait numbered drop, and checks its end.
func (c *sender) one(binary bool, drop int) {
	s, t := c.stage, c.stage.t
	all, err := waitsOf(s.outcome, binary)
	want, committed := all, err == nil
	if drop >= 0 && drop < len(all) && all[drop] != "convert" && all[drop] != "store" {
		want, err, committed = all[:drop+1], ErrDropped, false
	}
	c.begin(told, "list@a.example", "bob@a.example")
	c.finish(told, binary)
	waits := c.play(drop, never)
	if drop == len(all) {
		c.m.Drop()
	}
	what := fmt.Sprintf("%s, binary %v, dropped at %d of %v", s.outcome, binary, drop, all)
	if len(c.dones) != 1 {
		t.Fatalf("%s: done was called %d times", what, len(c.dones))
	}
	o := <-c.dones
	if !slices.Equal(waits, want) || !errors.Is(o.err, err) || (o.err == nil) != (o.r.ID() == 7) {
		t.Errorf("%s: waits %v, want %v; %v, want %v", what, waits, want, o, err)
	}
	if c.m.Committed() != committed || (c.m.Refusal() != nil) != (err == errRefused) || !c.m.IsFinishing() {
		t.Errorf("%s: committed %v, refusal %v", what, c.m.Committed(), c.m.Refusal())
	}
	if left := s.booked(); left != "" {
		t.Errorf("%s: %s are left", what, left)
	}
	switch {
	case s.got != nil:
		c.stored(what, binary)
	case o.err == nil, s.notified > 0:
		t.Errorf("%s: nothing was stored, %d notifications are counted", what, s.notified)
	}
	c.m.Reset()
	s.got, s.notified = nil, 0
}

// stored checks what was stored.
func (c *sender) stored(what string, binary bool) {
	s, t := c.stage, c.stage.t
	text, results, queued := strings.TrimPrefix(told, gone), true, 1
	switch s.outcome {
	case "none":
		text, results, queued = told, false, 2 // NOTIFY=SUCCESS counts at once
	case "notifies":
		queued = 2
		if s.notified == 0 {
			t.Errorf("%s: no notifications are counted", what)
		}
	}
	if !binary && !strings.HasSuffix(s.body, text) || strings.Contains(s.body, gone) != (s.outcome == "none") {
		t.Errorf("%s: stored %q", what, s.body)
	}
	if size := len(dot.AppendUnstuffed(nil, []byte(s.body))); s.got.Size != int64(size) {
		t.Errorf("%s: size %d, want %d", what, s.got.Size, size)
	}
	for _, r := range s.got.Recipients {
		if strings.Contains(string(r.Trace), "Authentication-Results: 000000000001A\r\n") != results {
			t.Errorf("%s: trace fields %q", what, r.Trace)
		}
	}
	if n := len(s.got.Relayed); n < 1 || n > queued {
		t.Errorf("%s: %d queue entries", what, n)
	}
}

// A pool without room ends the message with an error that tells the client to come back.
func TestPoolsWithoutRoom(t *testing.T) {
	for _, outcome := range outcomes {
		all, _ := waitsOf(outcome, true)
		for full, name := range all {
			if name != "route" && name != "convert" {
				continue
			}
			c := newSender(t, outcome)
			c.begin(told, "list@a.example", "bob@a.example")
			c.finish(told, true)
			c.play(never, full)
			o := <-c.dones
			if !errors.Is(o.err, storage.ErrTemporary) || len(c.dones) > 0 || c.stage.got != nil || c.stage.booked() != "" || c.m.Committed() != (name == "convert") {
				t.Errorf("%s, no room at %d of %v: %v, %d more calls of done, left %q", outcome, full, all, o, len(c.dones), c.stage.booked())
			}
		}
	}
}

// A message that is dropped before its end is over at once, without done. One whose
// recipients are all in a loop is refused before its check is asked.
func TestMessagesThatDoNotGetToTheirCheck(t *testing.T) {
	for _, outcome := range outcomes {
		c := newSender(t, outcome)
		c.begin(told, "list@a.example")
		if c.stage.booked() == "" {
			t.Fatal("nothing is booked for a message")
		}
		c.m.Drop()
		if left := c.stage.booked(); left != "" || len(c.dones) > 0 || c.m.IsFinishing() {
			t.Errorf("%s: after Drop %q are left, and done was called %d times", outcome, left, len(c.dones))
		}
		c.begin(told, "list@a.example")
		c.finish(told, false)
		waits := c.play(never, never)
		if r := c.m.Refusal(); r == nil || r.Text != "Mail forwarding loop for list@a.example" || len(waits) != 1 || c.stage.booked() != "" || len(c.dones) != 1 {
			t.Errorf("%s: a message in a loop: %v, waits %v, left %q", outcome, r, waits, c.stage.booked())
		}
	}
}

// Steps run on other goroutines while the client leaves: with the race detector.
func TestDropWhileStepsRun(t *testing.T) {
	for _, outcome := range outcomes {
		for i := range 100 {
			c := newSender(t, outcome)
			c.stage.atOnce = true
			c.begin(told, "list@a.example", "bob@a.example")
			c.finish(told, i%2 == 0)
			for range i % 7 * 50 {
				_ = c.stage.booked() // time passes
			}
			c.m.Drop()
			o := <-c.dones
			c.m.Drop()
			if left := c.stage.booked(); left != "" || len(c.dones) > 0 || (o.err == nil) != (c.stage.got != nil) {
				t.Errorf("%s: %v, left %q", outcome, o, left)
			}
			c.m.Reset()
		}
	}
}
