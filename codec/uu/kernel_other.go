//go:build !amd64

package uu

const useAVX2 = false

func encodeAVX2(dst, src *byte, lines int, zero uint64) { panic("BUG: no such kernel") }

func decodeAVX2(dst, src *byte, lines, stride int, ends, mask uint64) (done int) {
	panic("BUG: no such kernel")
}
