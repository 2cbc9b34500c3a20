package uu

// useAVX2: the processor and the system have it.
var useAVX2 = hasAVX2()

// hasAVX2 asks the processor (Intel SDM volume 1, section 14.7.1).
func hasAVX2() bool {
	const (
		osxsave, avx = 1 << 27, 1 << 28 // leaf 1, ECX
		ymm          = 6                // XCR0: the system saves XMM and YMM
		avx2         = 1 << 5           // leaf 7, EBX
	)
	if maxLeaf, _, _, _ := cpuid(0, 0); maxLeaf < 7 {
		return false
	}
	if _, _, c, _ := cpuid(1, 0); c&osxsave == 0 || c&avx == 0 || xgetbv()&ymm != ymm {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2 != 0
}

func cpuid(leaf, subleaf uint32) (a, b, c, d uint32)

// xgetbv is the low half of XCR0.
func xgetbv() uint32

// encodeAVX2 writes lines of 62 octets to dst, each from 45 octets of src. It reads 4
// octets after the end of src. Each octet of zero is what is added, besides 32, to a value
// of zero.
//
//go:noescape
func encodeAVX2(dst, src *byte, lines int, zero uint64)

// decodeAVX2 reads lines of stride octets and writes 45 octets each to dst, and 4 after
// them. It stops at a line that does not begin with "M", that has a character outside the
// alphabet, or whose end (16 bits at place 61, under mask) is not ends. It
// reads one octet after the last line.
//
//go:noescape
func decodeAVX2(dst, src *byte, lines, stride int, ends, mask uint64) (done int)
