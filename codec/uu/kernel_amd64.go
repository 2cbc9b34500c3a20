package uu

// useAVX2: the processor and the system have it.
var useAVX2 = hasAVX2()

// hasAVX2 asks the processor (Intel SDM volume 1, section 14.7.1).
func hasAVX2() bool {
	const (
		osxsave, avx = 1 << 27, 1 << 28 // of leaf 1, ECX
		ymm          = 6                // of XCR0: the system saves XMM and YMM
		avx2         = 1 << 5           // of leaf 7, EBX
	)
	if most, _, _, _ := cpuid(0, 0); most < 7 {
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

// encodeAVX2 writes lines of 62 octets to dst, of 45 octets each of src. It reads 4 octets
// behind the last of src. zero has in each octet what a value of zero gets besides the 32.
//
//go:noescape
func encodeAVX2(dst, src *byte, lines int, zero uint64)

// decodeAVX2 reads lines of stride octets and writes 45 octets each to dst, and 4 behind
// them. It stops at a line that does not begin with "M", has another character than those
// of the alphabet, or whose end (16 bits at place 61, under mask) is not ends. It
// reads one octet behind the last line.
//
//go:noescape
func decodeAVX2(dst, src *byte, lines, stride int, ends, mask uint64) (done int)
