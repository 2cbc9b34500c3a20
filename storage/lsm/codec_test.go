package lsm

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
)

func chunkOf(plain []byte) *buffer {
	b := getBuffer(len(plain))
	b.fill(plain)
	return b
}

func TestPackedChunksComeBack(t *testing.T) {
	noise := make([]byte, chunkLen)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	sources := map[string][]byte{"prose": prose(chunkLen), "base64": attachment(chunkLen), "noise": noise, "zeros": make([]byte, chunkLen)}
	var p packer
	plain := new([chunkLen]byte)
	for name, source := range sources {
		for _, n := range []int{0, 1, leastPacked, 4096, maxFast, chunkLen - 1, chunkLen} {
			for _, c := range []codec{raw, fast, strong} {
				b := chunkOf(source[:n])
				p.pack(b, c)
				if b.len() != n {
					t.Errorf("%s, %d octets: the buffer says %d", name, n, b.len())
				}
				if saved := n - (len(b.b) - chunkHeadLen); b.codec != raw && saved < n/packedSaves {
					t.Errorf("%s, %d octets: codec %d saves %d", name, n, b.codec, saved)
				}
				got, err := openChunk(b.value(), plain[:0])
				if err != nil || !bytes.Equal(got, source[:n]) {
					t.Errorf("%s, %d octets, codec %d: %d octets came back, %v", name, n, c, len(got), err)
				}
				b.release()
			}
		}
	}
	b := chunkOf(sources["base64"])
	if p.pack(b, strong); b.codec != strong {
		t.Error("base64 was not compressed: its literals are not coded")
	}
}

func TestChoose(t *testing.T) {
	f := func(n int, inFlight int64, want codec) {
		t.Helper()
		if got := choose(n, inFlight); got != want {
			t.Errorf("%d octets, %d in flight: %d, want %d", n, inFlight, got, want)
		}
	}
	f(0, 0, raw)
	f(leastPacked-1, 0, raw)
	f(leastPacked, 0, fast)
	f(maxFast, deliveryRush, fast)
	f(maxFast+1, 1, strong)
	f(chunkLen, 1, strong)
	f(chunkLen, deliveryRush+1, raw)
	f(4096, deliveryRush+1, raw)
}

// A frame that is larger than in its row is refused before it is unpacked.
func TestFramesThatHoldMoreThanTheRowSays(t *testing.T) {
	huge := make([]byte, 64*chunkLen)
	for c, frame := range map[codec][]byte{fast: s2.Encode(nil, huge), strong: zstdEncoder.EncodeAll(huge, nil)} {
		b := getBuffer(chunkLen)
		b.b = append(b.b, frame...)
		b.codec = c
		for _, says := range []int{0, 1, chunkLen, chunkLen + 1, len(huge)} {
			b.wire = says
			if got, err := openChunk(b.value(), make([]byte, 0, chunkLen)); err == nil || len(got) > 0 {
				t.Errorf("codec %d, %d octets said: %d came back, %v", c, says, len(got), err)
			}
		}
	}
}

func FuzzOpenChunk(f *testing.F) {
	var p packer
	for _, c := range []codec{raw, fast, strong} {
		b := chunkOf(prose(5000))
		p.pack(b, c)
		f.Add(byte(c), uint32(b.wire), bytes.Clone(b.b[chunkHeadLen:]))
	}
	f.Fuzz(func(t *testing.T, c byte, wire uint32, data []byte) {
		if len(data) > chunkLen {
			return
		}
		b := getBuffer(chunkLen)
		b.b = append(b.b, data...)
		b.codec, b.wire = codec(c), int(wire)
		got, err := openChunk(b.value(), make([]byte, 0, chunkLen))
		if err == nil && (len(got) != int(wire) || len(got) > chunkLen) {
			t.Errorf("%d octets, %d said", len(got), wire)
		}
	})
}

// zstd gets a tenth of the cores' time, whatever it asks for.
func TestAllowance(t *testing.T) {
	cores := time.Duration(runtime.NumCPU())
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var a allowance
	if !a.open(now) {
		t.Error("there is none to begin with")
	}
	used := time.Duration(0)
	for range 10_000 { // ten seconds
		now = now.Add(time.Millisecond)
		if a.open(now) {
			a.spend(3 * time.Millisecond)
			used += 3 * time.Millisecond
		}
	}
	least, most := cores*time.Second, cores*(time.Second+maxAllowance)+3*time.Millisecond
	if used < least || used > most {
		t.Errorf("%v were used, want %v to %v", used, least, most)
	}
	a.open(now.Add(time.Hour))
	a.open(now.Add(2 * time.Hour))
	if want := maxAllowance * cores; a.left != want {
		t.Errorf("%v after an hour, want %v", a.left, want)
	}
}
