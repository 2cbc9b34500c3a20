package tlsio

import (
	"crypto/tls"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// errAborted ends a handshake whose connection has ended.
var errAborted = io.ErrUnexpectedEOF

// Handshaker runs the handshakes of a process: each on a goroutine of its own that
// lives no longer, at most so many at once, and at most so many of these computing.
//
// A handshake costs half a millisecond of CPU with an ECDSA key and two with RSA,
// so a hundred clients that come at once must not be let at all processors: the
// loops, which serve all other clients, would wait for one. One that waits for its
// client's next flight holds 20 KB and no token.
type Handshaker struct {
	tokens tokens
	limit  atomic.Int64
	open   atomic.Int64

	// Clients verifies the certificates of clients; nil: none are asked for.
	Clients atomic.Pointer[ClientStore]
}

// NewHandshaker makes one with tokens handshakes computing at once, which should be
// fewer than GOMAXPROCS, and at most limit of them open.
func NewHandshaker(tokens, limit int) *Handshaker {
	h := new(Handshaker)
	h.tokens.free.L = &h.tokens.mu
	h.SetTokens(tokens)
	h.SetLimit(limit)
	return h
}

// SetTokens replaces how many handshakes compute at once, at least 1.
func (h *Handshaker) SetTokens(n int) { h.tokens.set(max(n, 1)) }

// Tokens returns how many handshakes compute at once.
func (h *Handshaker) Tokens() int {
	h.tokens.mu.Lock()
	defer h.tokens.mu.Unlock()
	return h.tokens.max
}

// tokens are the right to compute.
type tokens struct {
	mu        sync.Mutex
	free      sync.Cond
	max, used int // guarded by mu
}

// set replaces how many there are. Tokens that are taken stay so.
func (t *tokens) set(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = n
	t.free.Broadcast()
}

// take waits for one.
func (t *tokens) take() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.used >= t.max {
		t.free.Wait()
	}
	t.used++
}

// give gives one back.
func (t *tokens) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used--
	t.free.Signal()
}

// SetLimit replaces how many handshakes may be open. Open handshakes go on.
func (h *Handshaker) SetLimit(limit int) { h.limit.Store(int64(limit)) }

// Limit returns how many handshakes may be open.
func (h *Handshaker) Limit() int { return int(h.limit.Load()) }

// Busy reports whether a handshake that begins now would be turned away: the moment to
// answer 454 to STARTTLS.
func (h *Handshaker) Busy() bool { return h.open.Load() >= h.limit.Load() }

// Open returns how many handshakes are under way.
func (h *Handshaker) Open() int { return int(h.open.Load()) }

// Handshake is one handshake. It has one owner at a time: its goroutine, from Start
// or Feed until report is called, and else the loop, which calls the methods below.
type Handshake struct {
	of      *Handshaker
	session *Session
	input   chan []byte
	report  func()
	out     []byte
	err     error
	done    bool
}

// Start begins a handshake as server with the first octets of the client, which
// are the handshake's from here on. report is called on its goroutine each time
// when it can't go on: it needs input, or it is done; then it belongs to the loop
// that scratch is of, until that calls Feed or Abort. nil: too many are open.
func (h *Handshaker) Start(cfg *tls.Config, in []byte, scratch *Scratch, report func()) *Handshake {
	if h.open.Add(1) > h.limit.Load() {
		h.open.Add(-1)
		return nil
	}
	hs := &Handshake{of: h, session: &Session{scratch: scratch}, input: make(chan []byte, 1), report: report}
	hs.session.wire.in = in
	hs.session.wire.more = hs.more
	hs.session.conn = tls.Server(&hs.session.wire, cfg)
	go hs.run()
	return hs
}

func (hs *Handshake) run() {
	defer hs.report()
	defer hs.of.open.Add(-1)
	hs.of.tokens.take()
	defer hs.of.tokens.give()
	defer func() {
		if p := recover(); p != nil {
			hs.err = fmt.Errorf("panic in a handshake: %v", p)
		}
		hs.end()
	}()
	clients := hs.of.Clients.Load()
	if hs.err = hs.session.conn.Handshake(); hs.err == nil && clients != nil {
		hs.session.identify(clients)
	}
}

// end takes the session out of the handshake: what the client sent after it is
// the first that the session reads.
func (hs *Handshake) end() {
	s := hs.session
	hs.done = true
	hs.out = s.wire.out
	if len(s.wire.in) > 0 {
		s.rest = append([]byte(nil), s.wire.in...)
	}
	s.wire.in, s.wire.out, s.wire.more = nil, nil, nil
}

// more waits for the next octets of the client without a token.
func (hs *Handshake) more() ([]byte, error) {
	hs.of.tokens.give()
	hs.out, hs.session.wire.out = hs.session.wire.out, nil
	hs.report()
	in, ok := <-hs.input
	hs.of.tokens.take()
	if !ok {
		return nil, errAborted
	}
	return in, nil
}

// Output returns what is to be sent to the client, once.
func (hs *Handshake) Output() []byte {
	out := hs.out
	hs.out = nil
	return out
}

// Done reports whether the handshake has come to an end. It needs input if not.
func (hs *Handshake) Done() bool { return hs.done }

// Session is the outcome of a handshake that is done, or why there is none; its
// Output, an alert perhaps, is to be sent first in either case.
func (hs *Handshake) Session() (*Session, error) {
	if hs.err != nil {
		return nil, hs.err
	}
	return hs.session, nil
}

// Feed gives the next octets of the client, which are the handshake's from here on.
func (hs *Handshake) Feed(in []byte) { hs.input <- in }

// Abort ends a handshake that needs input: there will be none.
func (hs *Handshake) Abort() {
	if !hs.done {
		close(hs.input)
	}
}
