package loop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// coat is a Layer for tests: records of a length in two octets and as many octets
// turned by a mask. A record without octets ends the stream, one of the length
// unlawful ends it badly, and one that begins with a question mark is answered.
type coat struct {
	wire, plain []byte
	fed         int // octets that Open got
	ended       bool
	idle        int
}

const (
	mask     = 0x5a
	question = 16 // a longer record that begins with the mark is none
	unlawful = 0xffff
)

var errUnlawful = errors.New("unlawful record")

func turned(p []byte) []byte {
	out := bytes.Clone(p)
	for i := range out {
		out[i] ^= mask
	}
	return out
}

func record(p []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), turned(p)...)
}

func (l *coat) Open(wire, plain []byte) (n int, reply []byte, err error) {
	l.fed += len(wire)
	l.wire = append(l.wire, wire...)
	for err == nil && len(l.plain) < len(plain) && len(l.wire) >= 2 {
		size := int(binary.BigEndian.Uint16(l.wire))
		switch {
		case size == 0:
			err = io.EOF
		case size == unlawful:
			err = errUnlawful
		case len(l.wire) < 2+size:
			size = -1
		case size < question && l.wire[2]^mask == '?':
			reply = append(reply, record(turned(l.wire[2:2+size]))...)
		default:
			l.plain = append(l.plain, turned(l.wire[2:2+size])...)
		}
		if size < 0 {
			break
		}
		l.wire = l.wire[2+min(size, len(l.wire)-2):]
	}
	n = copy(plain, l.plain)
	l.plain = l.plain[n:]
	l.ended = l.ended || err == io.EOF
	return n, reply, err
}

func (l *coat) Held() bool {
	if len(l.plain) > 0 {
		return true
	}
	return len(l.wire) >= 2 && len(l.wire)-2 >= int(binary.BigEndian.Uint16(l.wire))
}

func (l *coat) Seal(p []byte) (wire []byte, err error) {
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		wire = append(wire, record(p[:n])...)
		p = p[n:]
	}
	return wire, nil
}

func (l *coat) End() []byte { return record(nil) }
func (l *coat) Idle()       { l.idle++ }

// coated is the client's end: it reads records and writes them.
type coated struct {
	net.Conn
	rest []byte
}

func (c *coated) Write(p []byte) (int, error) {
	_, err := c.Conn.Write(record(p))
	return len(p), err
}

func (c *coated) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		var head [2]byte
		if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
			return 0, errors.Join(io.ErrUnexpectedEOF, err)
		}
		c.rest = make([]byte, binary.BigEndian.Uint16(head[:]))
		if len(c.rest) == 0 {
			return 0, io.EOF
		}
		if _, err := io.ReadFull(c.Conn, c.rest); err != nil {
			return 0, err
		}
		c.rest = turned(c.rest)
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// dressed opens connections that have a coat from the beginning.
func dressed(coats chan<- *coat, open func(c *Conn) Handler) func(c *Conn) Handler {
	return func(c *Conn) Handler {
		l := new(coat)
		c.SetLayer(l)
		if coats != nil {
			coats <- l
		}
		return open(c)
	}
}

func TestLayerIsBetweenHandlerAndWire(t *testing.T) {
	_, lis := serve(t, Config{Loops: 1}, dressed(nil, func(*Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int { c.Write(in); return len(in) }}
	}))
	const size = 3 << 20
	conn := &coated{Conn: dial(t, lis)}
	go func() {
		p := make([]byte, 40<<10)
		for at := 0; at < size; {
			n := min(question+rand.IntN(len(p)-question), size-at)
			pattern(p[:n], at)
			if _, err := conn.Write(p[:n]); err != nil {
				return
			}
			at += n
		}
		_, _ = conn.Conn.Write(record(nil))
	}()
	if err := checkStream(conn, size); err != nil { // io.EOF: End was sent
		t.Error(err)
	}
}

func TestLayerGetsOctetByOctet(t *testing.T) {
	_, lis := serve(t, Config{}, dressed(nil, echo))
	conn := &coated{Conn: dial(t, lis)}
	for _, b := range record([]byte("hello")) {
		send(t, conn.Conn, string(b))
	}
	expect(t, conn, "hello")
	send(t, conn, "?who") // the layer's own business
	expect(t, conn, "?who")
}

// The limit of reading is that of what the handler sees, and nothing more is read
// while the layer has something.
func TestReadLimitThroughALayer(t *testing.T) {
	const limit = 100
	coats, shown, over := make(chan *coat, 1), make(chan int, 1000), make(chan int, 1)
	var conn *Conn
	g, lis := serve(t, Config{Loops: 1}, dressed(coats, func(c *Conn) Handler {
		conn = c
		c.SetReadLimit(limit)
		total := 0
		return &script{input: func(c *Conn, in []byte) int {
			if len(in) > limit {
				over <- len(in)
			}
			if total += len(in); total == 3*limit {
				c.SetReadLimit(0)
			}
			shown <- total
			return len(in)
		}}
	}))
	client := &coated{Conn: dial(t, lis)}
	l := receive(t, coats)
	send(t, client, string(make([]byte, 10*limit)))
	send(t, client, string(make([]byte, 10*limit)))
	for receive(t, shown) < 3*limit {
	}
	turns(t, g)
	on(t, g.Loops()[0], func() {
		if l.fed > 2+10*limit+limit {
			t.Errorf("%d octets were read from the peer while the layer had some", l.fed)
		}
		conn.SetReadLimit(limit)
	})
	for receive(t, shown) < 20*limit {
	}
	select {
	case n := <-over:
		t.Errorf("Input was given %d octets, the limit is %d", n, limit)
	default:
	}
}

// Input that the handler leaves comes once more before the layer's next plaintext.
func TestKeptInputThroughALayer(t *testing.T) {
	seen := make(chan string, 10)
	_, lis := serve(t, Config{}, dressed(nil, func(*Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			seen <- string(in)
			if len(in) > 4 {
				c.Resume() // a yield
				return 4
			}
			return 0
		}}
	}))
	conn := &coated{Conn: dial(t, lis)}
	send(t, conn, "abcdefgh")
	for _, want := range []string{"abcdefgh", "efgh"} {
		if got := receive(t, seen); got != want {
			t.Errorf("Input saw %q, want %q", got, want)
		}
	}
	send(t, conn, "ij")
	for _, want := range []string{"efghij", "ij"} {
		if got := receive(t, seen); got != want {
			t.Errorf("Input saw %q, want %q", got, want)
		}
	}
}

// The end of the stream waits for the end of a pause, as FIN does.
func TestEndOfStreamThroughALayer(t *testing.T) {
	events := make(chan string, 10)
	var conn *Conn
	g, lis := serve(t, Config{Loops: 1}, dressed(nil, func(c *Conn) Handler {
		conn = c
		return &script{
			input: func(c *Conn, in []byte) int { c.Pause(); events <- string(in); return len(in) },
			eof:   func(c *Conn) { events <- "EOF"; c.Write([]byte("bye")); c.Close() },
		}
	}))
	client := &coated{Conn: dial(t, lis)}
	if _, err := client.Conn.Write(append(record([]byte("last")), record(nil)...)); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, events); got != "last" {
		t.Errorf("got %q", got)
	}
	turns(t, g)
	select {
	case e := <-events:
		t.Errorf("%s during a pause", e)
	default:
	}
	on(t, g.Loops()[0], func() { conn.Resume() })
	if got := receive(t, events); got != "EOF" {
		t.Errorf("got %q", got)
	}
	if b, err := io.ReadAll(client); string(b) != "bye" || err != nil {
		t.Errorf("the client read %q, %v", b, err)
	}
}

// Without the layer's goodbye FIN is the end all the same.
func TestFINThroughALayer(t *testing.T) {
	ended := make(chan bool, 1)
	_, lis := serve(t, Config{}, dressed(nil, func(*Conn) Handler {
		return &script{eof: func(c *Conn) { ended <- true; c.Close() }}
	}))
	conn := dial(t, lis)
	send(t, conn, string(record([]byte("x"))[:2]))
	_ = conn.CloseWrite()
	receive(t, ended)
}

func TestFailureOfALayer(t *testing.T) {
	seen, closed := make(chan string, 2), make(chan error, 1)
	_, lis := serve(t, Config{}, dressed(nil, func(*Conn) Handler {
		return &script{
			input:  func(_ *Conn, in []byte) int { seen <- string(in); return len(in) },
			closed: func(_ *Conn, err error) { closed <- err },
		}
	}))
	conn := &coated{Conn: dial(t, lis)}
	send(t, conn.Conn, string(record([]byte("good")))+string(record([]byte("?alert")))+"\xff\xff and so on")
	if got := receive(t, seen); got != "good" {
		t.Errorf("Input saw %q", got)
	}
	if err := receive(t, closed); err != errUnlawful {
		t.Errorf("Closed got %v", err)
	}
	expect(t, conn, "?alert")
}

// A connection changes its handler and gets its layer in the middle.
func TestLayerInTheMiddle(t *testing.T) {
	_, lis := serve(t, Config{}, func(*Conn) Handler {
		return &script{input: func(c *Conn, in []byte) int {
			if string(in) != "start\r\n" {
				return 0
			}
			c.Write([]byte("go\r\n"))
			c.SetHandler(echo(c))
			c.SetLayer(new(coat))
			return len(in)
		}}
	})
	conn := dial(t, lis)
	send(t, conn, "sta")
	send(t, conn, "rt\r\n")
	expect(t, conn, "go\r\n")
	within := &coated{Conn: conn}
	send(t, within, "secret")
	expect(t, within, "secret")
}

func TestLayerOverKeptInputIsRefused(t *testing.T) {
	closed := make(chan error, 1)
	g, lis := serve(t, Config{Loops: 1}, func(c *Conn) Handler {
		return &script{
			input:  func(*Conn, []byte) int { return 0 },
			closed: func(_ *Conn, err error) { closed <- err },
		}
	})
	conn := dial(t, lis)
	send(t, conn, "injected")
	var c *Conn
	eventually(t, "input is kept", func() (kept bool) {
		on(t, g.Loops()[0], func() {
			for _, c = range g.Loops()[0].conns {
				if c != nil && c.Kept() > 0 {
					kept = true
					return
				}
			}
		})
		return kept
	})
	on(t, g.Loops()[0], func() {
		defer func() {
			if recover() == nil {
				t.Error("SetLayer took input in clear text for its own")
			}
		}()
		c.SetLayer(new(coat))
	})
}

// Silent connections are told, once, and again after new traffic.
func TestIdleLayers(t *testing.T) {
	coats := make(chan *coat, 1)
	g, lis := serve(t, Config{Loops: 1}, dressed(coats, echo))
	conn := &coated{Conn: dial(t, lis)}
	l := receive(t, coats)
	loop := g.Loops()[0]
	later := func(ticks int64) (idle int) {
		on(t, loop, func() {
			loop.wheel.advance(loop.wheel.now+ticks, expire)
			loop.cool()
			idle = l.idle
		})
		return idle
	}
	for round := range 3 {
		send(t, conn, "hello")
		expect(t, conn, "hello")
		if got := later(idleTicks); got != round+1 {
			t.Errorf("Idle was called %d times in the end of round %d", got, round)
		}
		if got := later(100 * idleTicks); got != round+1 {
			t.Errorf("Idle was called again without traffic")
		}
	}
	conn.Close()
	eventually(t, "it is gone", func() bool { return g.Conns() == 0 })
	later(100)
	on(t, loop, func() {
		if len(loop.warm) > 0 {
			t.Error("the loop holds a connection that is gone")
		}
	})
}
