package conn

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Scribe writes the dialogue of a session down. The protocol makes it: see Port.Scribe.
type Scribe interface {
	Client(octets []byte, state string) // taken from the client; state is Facts.State before that
	Server(octets []byte)               // written to the client
	Secured()                           // TLS begins
}

// TraceLine is a line of a dialogue.
type TraceLine struct {
	Session uint64    `json:"session,omitempty"` // id of a client's session; 0: none
	Message string    `json:"message,omitempty"` // id of a message that is sent to another host
	At      time.Time `json:"at"`
	Text    string    `json:"text"`
}

// The bounds of traces: how many there are at once, what one keeps for a reader that is slow,
// and how many sessions it follows at once.
const (
	maxTraces        = 4
	maxTraceLines    = 4096
	maxTraceOctets   = 1 << 20
	maxTraceSessions = 1000
)

// ErrTraces is the error of a trace too many.
var ErrTraces = fmt.Errorf("%d traces are under way already: end one of them", maxTraces)

// Trace calls each with lines of the dialogues of the selected sessions, as they come, until
// ctx ends or each returns an error. A session is followed from the moment on that it is
// selected. The loops never wait for each.
func (e *Edge) Trace(ctx context.Context, sel Selection, each func([]TraceLine) error) error {
	return e.TraceInto(ctx, sel, NewFeed(), each)
}

// TraceInto is Trace with a Feed, to which others may add lines too.
func (e *Edge) TraceInto(ctx context.Context, sel Selection, feed *Feed, each func([]TraceLine) error) error {
	t := &trace{Feed: feed, sel: sel}
	if !e.addTrace(t) {
		return ErrTraces
	}
	defer e.removeTrace(t)
	return t.Run(ctx, each)
}

// Feed has the lines that a reader has yet to take. Its methods may be called from any
// goroutine.
type Feed struct {
	wake chan struct{} // there is something to take

	mu     sync.Mutex
	lines  []TraceLine
	octets int
	lost   int
}

// NewFeed makes a Feed.
func NewFeed() *Feed { return &Feed{wake: make(chan struct{}, 1)} }

// Run calls each with the lines as they come, until ctx ends or each returns an error. Lines
// for which each is too slow are lost, and counted.
func (f *Feed) Run(ctx context.Context, each func([]TraceLine) error) error {
	for {
		select {
		case <-ctx.Done():
			return each(f.take())
		case <-f.wake:
			if err := each(f.take()); err != nil {
				return err
			}
		}
	}
}

// Add adds a line, unless the reader is too slow. It never waits.
func (f *Feed) Add(l TraceLine) {
	l.At = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lines) >= maxTraceLines || f.octets+len(l.Text) > maxTraceOctets {
		f.lost++
		return
	}
	f.lines, f.octets = append(f.lines, l), f.octets+len(l.Text)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take takes the lines that are there.
func (f *Feed) take() []TraceLine {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.lines
	if f.lost > 0 {
		lines = append(lines, TraceLine{At: time.Now(), Text: fmt.Sprintf("=== %d lines are lost: they were not read fast enough", f.lost)})
	}
	f.lines, f.octets, f.lost = nil, 0, 0
	return lines
}

// addTrace makes a trace seen by the sessions.
func (e *Edge) addTrace(t *trace) bool {
	e.tracing.Lock()
	defer e.tracing.Unlock()
	var all []*trace
	if on := e.traces.Load(); on != nil {
		all = *on
	}
	if len(all) >= maxTraces {
		return false
	}
	all = append(slices.Clone(all), t)
	e.traces.Store(&all)
	return true
}

// removeTrace ends a trace, and has the loops forget what they keep for it.
func (e *Edge) removeTrace(t *trace) {
	e.tracing.Lock()
	defer e.tracing.Unlock()
	all := slices.DeleteFunc(slices.Clone(*e.traces.Load()), func(other *trace) bool { return other == t })
	if len(all) == 0 {
		e.traces.Store(nil)
	} else {
		e.traces.Store(&all)
	}
	for _, p := range e.loops {
		p.loop.Post(untap{p, t})
	}
}

// trace is what one reader has asked for, and the lines for it.
type trace struct {
	*Feed
	sel Selection

	following sync.Mutex
	sessions  int  // that are followed now
	full      bool // and it was told
}

// join counts a session that is followed from now on, if there is room for it.
func (t *trace) join() bool {
	t.following.Lock()
	defer t.following.Unlock()
	if t.sessions < maxTraceSessions {
		t.sessions++
		return true
	}
	if !t.full {
		t.full = true
		t.Add(TraceLine{Text: fmt.Sprintf("=== %d sessions are followed; others are not shown: narrow down the selection", maxTraceSessions)})
	}
	return false
}

// leave counts a session that is not followed any more.
func (t *trace) leave() {
	t.following.Lock()
	defer t.following.Unlock()
	t.sessions--
	t.full = false
}

// tap is a session that is followed. It belongs to the loop.
type tap struct {
	id     uint64
	scribe Scribe
	by     []*trace

	feeding bool   // the session is fed: what it writes belongs after what it is fed
	held    []byte // written meanwhile
}

// server takes octets that were written to the client.
func (p *tap) server(b []byte) {
	if p.feeding {
		p.held = append(p.held, b...)
		return
	}
	p.scribe.Server(b)
}

// fed takes what the session was fed, and then what it has written meanwhile: the scribe has
// to know a command before its reply.
func (p *tap) fed(in []byte, state string) {
	p.feeding = false
	if len(in) > 0 {
		p.scribe.Client(in, state)
	}
	if len(p.held) > 0 {
		p.scribe.Server(p.held)
		p.held = nil
	}
}

// emit adds a line to the traces that follow the session.
func (p *tap) emit(text string) {
	for _, t := range p.by {
		t.Add(TraceLine{Session: p.id, Text: text})
	}
}

// tapped returns the tap of a session that a trace selects; nil: none does. While there is
// no trace it costs a look at a pointer.
func (s *Session) tapped() *tap {
	on := s.Port.Edge.traces.Load()
	if on == nil || s.Port.Scribe == nil {
		return nil
	}
	p := s.loop.taps[s]
	for _, t := range *on {
		if p != nil && slices.Contains(p.by, t) {
			continue
		}
		if f, fits := t.sel.selects(s); fits && t.join() {
			if p == nil {
				p = s.tap()
			}
			p.by = append(p.by, t)
			t.Add(TraceLine{Session: s.id, Text: begin(&f)})
		}
	}
	return p
}

// tap makes the tap of a session.
func (s *Session) tap() *tap {
	p := &tap{id: s.id}
	joined := s.got > 0 || s.Conn.Taken() > 0
	p.scribe = s.Port.Scribe(joined, p.emit)
	if s.TLS != nil {
		p.scribe.Secured()
	}
	if s.loop.taps == nil {
		s.loop.taps = make(map[*Session]*tap)
	}
	s.loop.taps[s] = p
	return p
}

// begin is the first line about a session.
func begin(f *Facts) string {
	text := "=== " + f.Protocol + " session of " + f.Client.String()
	if f.Account != "" {
		text += ", account " + f.Account
	}
	if f.TLS != "" {
		text += ", " + f.TLS
	}
	return text + ", state " + f.State
}

// untrace writes the last line about a session that ends, and forgets its tap.
func (s *Session) untrace(err error) {
	p := s.loop.taps[s]
	if p == nil {
		return
	}
	delete(s.loop.taps, s)
	text := "=== the session has ended"
	switch {
	case s.Reason != "":
		text += ": " + s.Reason
	case err != nil:
		text += ": " + err.Error()
	}
	p.emit(text)
	for _, t := range p.by {
		t.leave()
	}
}

// untap is the task that has a loop forget a trace.
type untap struct {
	of    *perLoop
	trace *trace
}

// Run implements loop.Task.
func (u untap) Run() {
	for s, p := range u.of.taps {
		p.by = slices.DeleteFunc(p.by, func(t *trace) bool { return t == u.trace })
		if len(p.by) == 0 {
			delete(u.of.taps, s)
		}
	}
}

// Tapped is how many sessions are followed by traces.
func (e *Edge) Tapped() (n int) {
	e.tracing.Lock()
	defer e.tracing.Unlock()
	if on := e.traces.Load(); on != nil {
		for _, t := range *on {
			t.following.Lock()
			n += t.sessions
			t.following.Unlock()
		}
	}
	return n
}
