package uu

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
)

// sizes are a block that stays in the cache and a large file, in whole lines.
var sizes = []int{45 * 728, 45 * 1491308}

// noise is what a file holds that does not compress.
func noise(n int) []byte {
	octets := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(octets)
	return octets
}

// each runs f with and without vectors for each size. Octets are counted in the file.
func each(b *testing.B, f func(b *testing.B, octets []byte)) {
	for _, n := range sizes {
		octets := noise(n)
		withKernels(func(name string) {
			b.Run(fmt.Sprintf("%s/%dKiB", name, n>>10), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				f(b, octets)
			})
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	each(b, func(b *testing.B, octets []byte) {
		dst := AppendEncode(nil, octets, Backtick)
		for b.Loop() {
			dst = AppendEncode(dst[:0], octets, Backtick)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	each(b, func(b *testing.B, octets []byte) {
		text := AppendEncode(AppendBegin(nil, Header{Name: "x"}), octets, Backtick)
		dst := make([]byte, 0, len(octets)+100)
		for b.Loop() {
			var d Decoder
			for rest := text; len(rest) > 0; {
				var n int
				var err error
				if dst, n, _, err = d.Decode(dst, rest); err != nil {
					b.Fatal(err)
				}
				rest = rest[n:]
			}
			if len(dst) != len(octets) {
				b.Fatal(len(dst))
			}
			dst = dst[:0]
		}
	})
}

// What the memory can do, and the nearest thing in the standard library.
func BenchmarkCopy(b *testing.B) {
	each(b, func(b *testing.B, octets []byte) {
		dst := make([]byte, len(octets))
		for b.Loop() {
			copy(dst, octets)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	each(b, func(b *testing.B, octets []byte) {
		dst := base64.StdEncoding.AppendEncode(nil, octets)
		for b.Loop() {
			dst = base64.StdEncoding.AppendEncode(dst[:0], octets)
		}
	})
}
