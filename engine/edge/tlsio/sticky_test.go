package tlsio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"testing"
)

// These tests check what this package takes for granted about crypto/tls, whose
// documentation does not promise it. If one of these tests fails with a new version of Go,
// read crypto/tls again before anything is changed here.

// flaw is an error of the wire with the words of net.Error.
type flaw struct{ timeout, temporary bool }

func (flaw) Error() string     { return "flaw" }
func (f flaw) Timeout() bool   { return f.timeout }
func (f flaw) Temporary() bool { return f.temporary }

func TestAnEmptyReadIsNotFinal(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		s, c := mustAgree(t, server(store(t)), client(v))
		p := make([]byte, 10)
		for range 2 { // nothing at all
			if _, err := s.conn.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		}
		wire := c.mustSeal(t, "hello")
		for i := range wire { // in the header and in the body
			s.wire.in = wire[i : i+1]
			n, err := s.conn.Read(p)
			if i < len(wire)-1 && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("octet %d: %d, %v", i, n, err)
			}
			if i == len(wire)-1 && (string(p[:n]) != "hello" || err != nil) {
				t.Fatalf("got %q, %v", p[:n], err)
			}
		}
	})
}

func TestWhichErrorsAreFinal(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		for _, f := range []struct {
			err   error
			final bool
		}{{flaw{true, true}, false}, {flaw{false, true}, false}, {flaw{true, false}, true}, {io.ErrClosedPipe, true}} {
			s, c := mustAgree(t, server(store(t)), client(v))
			// crypto/tls reads from the wire it was made with: put the flaw into it.
			s.wire.more = func() ([]byte, error) { return nil, f.err }
			p := make([]byte, 10)
			if _, err := s.conn.Read(p); !errors.Is(err, f.err) {
				t.Fatalf("got %v, want %v", err, f.err)
			}
			s.wire.more = nil
			s.wire.in = c.mustSeal(t, "hello")
			n, err := s.conn.Read(p)
			if final := err != nil; final != f.final {
				t.Errorf("after %#v: %q, %v", f.err, p[:n], err)
			}
		}
	})
}

func TestInTheHandshakeEveryErrorIsFinal(t *testing.T) {
	w := new(wire)
	conn := tls.Server(w, server(store(t)))
	if err := conn.Handshake(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	again := asClient(NewHandshaker(1, 1), client(tls.VersionTLS13), new(Scratch))
	again.wait(t)
	w.in = again.Output()
	if err := conn.Handshake(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second call got %v: a handshake can go on now, so it needs no goroutine", err)
	}
	again.Abort()
}

// brittle is a wire whose Write fails once.
type brittle struct {
	wire
	err error
}

func (b *brittle) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.wire.Write(p)
}

func TestAFailedWriteIsFinal(t *testing.T) {
	b := new(brittle)
	clientEnd := tls.Client(b, client(tls.VersionTLS13))
	s := asServerOf(t, b, clientEnd)
	b.err = flaw{true, true}
	if _, err := clientEnd.Write([]byte("x")); err == nil {
		t.Fatal("no error")
	}
	b.err = nil
	if _, err := clientEnd.Write([]byte("x")); err == nil {
		t.Error("a second Write works: the wire may refuse one")
	}
	_ = s
}

// asServerOf does the handshake with a client that is no Handshake.
func asServerOf(t *testing.T, b *brittle, conn *tls.Conn) *Session {
	t.Helper()
	need, more, ended := make(chan []byte), make(chan []byte), make(chan error, 1)
	b.more = func() ([]byte, error) {
		out := b.out
		b.out = nil
		need <- out
		return <-more, nil
	}
	go func() { ended <- conn.Handshake() }()
	s := asServer(NewHandshaker(1, 1), server(store(t)), <-need, new(Scratch))
	s.wait(t)
	more <- bytes.Clone(s.Output())
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.more = nil
	s.Feed(bytes.Clone(b.out))
	b.out = nil
	s.wait(t)
	session, err := s.Session()
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// The buffers are where releaseIdle looks for them; else ten thousand sessions cost
// their memory four times over.
func TestLayoutOfConn(t *testing.T) {
	if !layout.known {
		t.Fatal("crypto/tls has other fields in Conn: idlerelease.go releases nothing")
	}
	s, c := mustAgree(t, server(store(t)), client(tls.VersionTLS13))
	s.mustOpen(t, c.mustSeal(t, "hello"), "hello")
	if !releaseIdle(s.conn) {
		t.Error("an idle session was not released")
	}
	s.mustOpen(t, c.mustSeal(t, "again"), "again")
	wire := c.mustSeal(t, "half")
	s.mustOpen(t, wire[:3], "")
	if releaseIdle(s.conn) {
		t.Error("half a record was released")
	}
	s.mustOpen(t, wire[3:], "half")
}
