package tlsio

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// stream is one direction of a pair: what was written, what has arrived.
type stream struct {
	from, to *Session
	wire     []byte // under way
	sent     uint32
	heard    uint32
	tag      byte
}

// word is the n-th of a direction's words, which none of another direction equals.
func (d *stream) word(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{d.tag}, n)
}

// write seals some words at once.
func (d *stream) write(t testing.TB, words int) {
	t.Helper()
	var p []byte
	for range words {
		p = append(p, d.word(d.sent)...)
		d.sent++
	}
	wire, err := d.from.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	d.wire = append(d.wire, wire...)
}

// read opens n octets of what is under way into room octets of plain, and checks
// whole words.
func (d *stream) read(t testing.TB, n, words int) {
	t.Helper()
	plain := make([]byte, 5*words)
	got := 0
	take := func(wire []byte) {
		k, reply, err := d.to.Open(wire, plain[got:])
		if err != nil || len(reply) > 0 {
			t.Fatalf("%v, %d octets in reply", err, len(reply))
		}
		got += k
	}
	lent := bytes.Clone(d.wire[:n])
	d.wire = d.wire[n:]
	take(lent)
	for i := range lent { // what was lent is the lender's again
		lent[i] = 0xee
	}
	for got%5 != 0 || got == len(plain) && d.to.Held() {
		if got == len(plain) {
			d.check(t, plain)
			got = 0
		}
		if d.to.Held() {
			take(nil)
		} else if len(d.wire) > 0 {
			take(d.wire[:1])
			d.wire = d.wire[1:]
		} else {
			t.Fatalf("%d octets of a word came", got%5)
		}
	}
	d.check(t, plain[:got])
}

func (d *stream) check(t testing.TB, plain []byte) {
	t.Helper()
	for ; len(plain) > 0; plain = plain[5:] {
		if !bytes.Equal(plain[:5], d.word(d.heard)) {
			t.Fatalf("stream %d, word %d: %x came", d.tag, d.heard, plain[:5])
		}
		d.heard++
	}
}

// Sessions of one loop, with cuts anywhere, rooms of any size and buffers given
// back at any time: each reads its own peer, all of it, in order.
func TestSessionsWithOneScratchDoNotMix(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	a, b, cfg := new(Scratch), new(Scratch), server(store(t))
	var streams []*stream
	for i := range 4 {
		s, c, err := agree(t, NewHandshaker(1, 4), cfg, client(versionsTested[i%2]), a, b, func(n int) int { return 1 + rnd.IntN(n) })
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, &stream{from: s, to: c, tag: byte(2 * i)}, &stream{from: c, to: s, tag: byte(2*i + 1)})
	}
	rounds := 6_000
	if testing.Short() {
		rounds = 1_000
	}
	for range rounds {
		d := streams[rnd.IntN(len(streams))]
		switch k := rnd.IntN(10); {
		case k < 3:
			d.write(t, 1+rnd.IntN(1<<rnd.IntN(14)))
		case k < 9 && len(d.wire) > 0:
			d.read(t, 1+rnd.IntN(len(d.wire)), 1+rnd.IntN(1<<rnd.IntN(12)))
		default:
			d.from.Idle()
		}
	}
	for _, d := range streams {
		for len(d.wire) > 0 || d.to.Held() {
			d.read(t, len(d.wire), 1000)
		}
		if d.heard != d.sent || d.sent == 0 {
			t.Errorf("stream %d: %d of %d words came", d.tag, d.heard, d.sent)
		}
	}
}

// The wire may cut where it wants, in the handshake and after it.
func TestOctetByOctet(t *testing.T) {
	each(t, func(t *testing.T, v uint16) {
		s, c, err := agree(t, NewHandshaker(1, 2), server(store(t)), client(v), new(Scratch), new(Scratch), func(int) int { return 1 })
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*stream{{from: s, to: c, tag: 1}, {from: c, to: s, tag: 2}} {
			d.write(t, 7000) // three records
			for len(d.wire) > 0 {
				d.read(t, 1, 10_000)
			}
			if d.heard != 7000 {
				t.Errorf("%d words came", d.heard)
			}
		}
	})
}

// The octets of data are where the network cuts, and how much room there is.
func FuzzCuts(f *testing.F) {
	f.Add([]byte{1, 2, 3, 250, 0, 17, 90}, false)
	f.Add([]byte("cut me"), true)
	f.Fuzz(func(t *testing.T, data []byte, modern bool) {
		next := func(n int) int {
			if len(data) == 0 {
				return n
			}
			k := 1 + int(data[0])*7%n
			data = data[1:]
			return k
		}
		v := versionsTested[0]
		if modern {
			v = versionsTested[1]
		}
		s, c, err := agree(t, NewHandshaker(1, 2), server(store(t)), client(v), new(Scratch), new(Scratch), next)
		if err != nil {
			t.Fatal(err)
		}
		d := &stream{from: c, to: s, tag: 3}
		for range min(len(data), 50) {
			d.write(t, next(5000))
			d.read(t, next(len(d.wire)), next(3000))
			s.Idle()
		}
		for len(d.wire) > 0 || s.Held() {
			d.read(t, len(d.wire), 3000)
		}
		if d.heard != d.sent {
			t.Errorf("%d of %d words came", d.heard, d.sent)
		}
	})
}

// A record boundary is where Read ends, so crypto/tls reads nothing ahead.
func TestReadEndsWithTheRecord(t *testing.T) {
	w := &wire{in: []byte{23, 3, 3, 0, 2, 'a', 'b', 22, 3, 3, 0, 1, 'c', 21, 3, 3}}
	p := make([]byte, 100)
	for _, want := range []int{7, 6, 3} {
		if n, err := w.Read(p); n != want || err != nil {
			t.Fatalf("Read: %d, %v; want %d", n, err, want)
		}
	}
}

func BenchmarkOpenCommand(b *testing.B) {
	s, c := mustAgree(b, server(store(b)), client(versionsTested[1]))
	plain := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		wire, _ := c.Seal([]byte("RCPT TO:<mbrain@localhost>\r\n"))
		if n, _, err := s.Open(wire, plain); n != 28 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkOpenAndSeal64KiB(b *testing.B) {
	s, c := mustAgree(b, server(store(b)), client(versionsTested[1]))
	p, plain := make([]byte, 64<<10), make([]byte, 64<<10)
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		wire, _ := c.Seal(p)
		if n, _, err := s.Open(wire, plain); n != len(p) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// A session keeps what it must and nothing of the loop's.
func TestSessionKeepsNothingLent(t *testing.T) {
	s, c := mustAgree(t, server(store(t)), client(versionsTested[1]))
	s.mustOpen(t, c.mustSeal(t, "hello"), "hello")
	s.mustSeal(t, "hello")
	if s.wire.in != nil || s.wire.out != nil || s.rest != nil {
		t.Error("the session holds what it was lent")
	}
	if size := unsafe.Sizeof(*s); size > 144 {
		t.Errorf("a Session has %d octets; idle ones are many", size)
	}
}
