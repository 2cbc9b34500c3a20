package tlsio

import (
	"bytes"
	"crypto/tls"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// until waits for what others bring about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// hello is a client's first flight.
func hello(t testing.TB) []byte {
	t.Helper()
	c := asClient(NewHandshaker(1, 1), client(tls.VersionTLS13), new(Scratch))
	c.wait(t)
	defer c.Abort()
	return bytes.Clone(c.Output())
}

func TestHandshakesAreCapped(t *testing.T) {
	const limit = 3
	before := runtime.NumGoroutine()
	h, cfg := NewHandshaker(1, limit), server(store(t))
	var open []*end
	for range limit {
		if h.Busy() {
			t.Fatal("busy before the limit")
		}
		e := asServer(h, cfg, hello(t), new(Scratch))
		e.wait(t)
		open = append(open, e)
	}
	if !h.Busy() || h.Open() != limit {
		t.Errorf("%d are open", h.Open())
	}
	if asServer(h, cfg, hello(t), new(Scratch)).Handshake != nil {
		t.Error("one more than the limit began")
	}
	for _, e := range open {
		e.Abort()
	}
	until(t, "the places and goroutines are free", func() bool { return h.Open() == 0 && runtime.NumGoroutine() <= before })
}

// With one token one handshake computes, and the ones that wait for clients hold none.
func TestTokensBoundWhatComputes(t *testing.T) {
	h, cfg := NewHandshaker(1, 100), server(store(t))
	var now, most atomic.Int32
	pick := cfg.GetCertificate
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		most.Store(max(most.Load(), now.Add(1)))
		for range 100 {
			runtime.Gosched()
		}
		defer now.Add(-1)
		return pick(hello)
	}
	var parked []*end
	for range 8 {
		e := asServer(h, cfg, hello(t), new(Scratch))
		e.wait(t)
		parked = append(parked, e)
	}
	var all sync.WaitGroup
	first := hello(t)
	for range 16 {
		all.Go(func() {
			e := asServer(h, cfg, bytes.Clone(first), new(Scratch))
			<-e.reports
			e.Abort()
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d handshakes computed at once with one token", most.Load())
	}
	for _, e := range parked {
		e.Abort()
	}
	until(t, "all are gone", func() bool { return h.Open() == 0 })
}

func TestPanicInAHandshake(t *testing.T) {
	h, cfg := NewHandshaker(1, 1), server(store(t))
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("no certificate today") }
	e := asServer(h, cfg, hello(t), new(Scratch))
	e.wait(t)
	if _, err := e.Session(); !e.Done() || err == nil {
		t.Errorf("done %v, error %v", e.Done(), err)
	}
	until(t, "the place is free", func() bool { return h.Open() == 0 })
	if s, c := mustAgree(t, server(store(t)), client(tls.VersionTLS13)); s == nil || c == nil {
		t.Error("no session")
	}
}

// A client that speaks no TLS gets an alert or nothing, and is closed.
func TestNoTLSAtAll(t *testing.T) {
	h := NewHandshaker(1, 1)
	e := asServer(h, server(store(t)), []byte("MAIL FROM:<evil@example.org>\r\n"), new(Scratch))
	e.wait(t)
	if _, err := e.Session(); !e.Done() || err == nil {
		t.Errorf("done %v, error %v", e.Done(), err)
	}
}

// More tokens let handshakes compute that wait for one, and fewer hold later ones back.
func TestSetTokens(t *testing.T) {
	h := NewHandshaker(1, 100)
	h.tokens.take()
	taken := make(chan struct{}, 10)
	for range 3 {
		go func() { h.tokens.take(); taken <- struct{}{} }()
	}
	if h.SetTokens(3); h.Tokens() != 3 {
		t.Errorf("%d tokens, want 3", h.Tokens())
	}
	<-taken
	<-taken
	h.SetTokens(0) // which is 1
	h.tokens.give()
	h.tokens.give()
	if len(taken) != 0 {
		t.Error("a token was taken while one more than allowed is held")
	}
	h.tokens.give()
	<-taken
}
