#include "textflag.h"

// The conversion of three octets to four values of six bits and back by two
// multiplications is Wojciech Muła's and Daniel Lemire's ("Faster Base64 Encoding and
// Decoding using AVX2 Instructions", 2018). What is different here: a value becomes a
// character by one addition, and a line is 45 octets, two vectors of 24 that overlap by 3.

// Octets 1 0 2 1 of each three.
DATA spread<>+0(SB)/8, $0x0405030401020001
DATA spread<>+8(SB)/8, $0x0a0b090a07080607
DATA spread<>+16(SB)/8, $0x0405030401020001
DATA spread<>+24(SB)/8, $0x0a0b090a07080607
GLOBL spread<>(SB), RODATA|NOPTR, $32

// Octets 2 1 0 of each four.
DATA gather<>+0(SB)/8, $0x090a040506000102
DATA gather<>+8(SB)/8, $0x808080800c0d0e08
DATA gather<>+16(SB)/8, $0x090a040506000102
DATA gather<>+24(SB)/8, $0x808080800c0d0e08
GLOBL gather<>(SB), RODATA|NOPTR, $32

DATA highMask<>+0(SB)/4, $0x0fc0fc00
GLOBL highMask<>(SB), RODATA|NOPTR, $4
DATA highShift<>+0(SB)/4, $0x04000040
GLOBL highShift<>(SB), RODATA|NOPTR, $4
DATA lowMask<>+0(SB)/4, $0x003f03f0
GLOBL lowMask<>(SB), RODATA|NOPTR, $4
DATA lowShift<>+0(SB)/4, $0x01000010
GLOBL lowShift<>(SB), RODATA|NOPTR, $4
DATA blank<>+0(SB)/4, $0x20202020
GLOBL blank<>(SB), RODATA|NOPTR, $4
DATA most<>+0(SB)/4, $0x40404040
GLOBL most<>(SB), RODATA|NOPTR, $4
DATA six<>+0(SB)/4, $0x3f3f3f3f
GLOBL six<>(SB), RODATA|NOPTR, $4
DATA joinTwo<>+0(SB)/4, $0x01400140
GLOBL joinTwo<>(SB), RODATA|NOPTR, $4
DATA joinFour<>+0(SB)/4, $0x00011000
GLOBL joinFour<>(SB), RODATA|NOPTR, $4

// ENCODE turns the octets of Y into characters: Y7 spread, Y8 to Y11 masks and shifts,
// Y12 blanks, Y13 zero octets, Y14 what a zero gets. T and U are scratch.
#define ENCODE(Y, T, U) \
	VPSHUFB  Y7, Y, Y     \
	VPAND    Y8, Y, T     \
	VPMULHUW Y9, T, T     \
	VPAND    Y10, Y, U    \
	VPMULLW  Y11, U, U    \
	VPOR     U, T, Y      \
	VPCMPEQB Y13, Y, T    \
	VPAND    Y14, T, T    \
	VPADDB   Y12, Y, Y    \
	VPADDB   T, Y, Y

// func encodeAVX2(dst, src *byte, lines int, zero uint64)
TEXT ·encodeAVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         lines+16(FP), CX
	VMOVDQU      spread<>(SB), Y7
	VPBROADCASTD highMask<>(SB), Y8
	VPBROADCASTD highShift<>(SB), Y9
	VPBROADCASTD lowMask<>(SB), Y10
	VPBROADCASTD lowShift<>(SB), Y11
	VPBROADCASTD blank<>(SB), Y12
	VPXOR        Y13, Y13, Y13
	VPBROADCASTQ zero+24(FP), Y14

encodeLine:
	VMOVDQU     (SI), X0
	VINSERTI128 $1, 12(SI), Y0, Y0
	VMOVDQU     21(SI), X1
	VINSERTI128 $1, 33(SI), Y1, Y1
	ENCODE(Y0, Y2, Y3)
	ENCODE(Y1, Y4, Y5)
	MOVB        $0x4d, (DI)        // M: 45 octets
	VMOVDQU     Y0, 1(DI)
	VMOVDQU     Y1, 29(DI)
	MOVB        $0x0a, 61(DI)
	ADDQ        $45, SI
	ADDQ        $62, DI
	DECQ        CX
	JNZ         encodeLine
	VZEROUPPER
	RET

// DECODE turns the values of Y, below 64, into 12 octets in each half: Y10, Y11 join
// them, Y12 gathers.
#define DECODE(Y) \
	VPMADDUBSW Y10, Y, Y \
	VPMADDWD   Y11, Y, Y \
	VPSHUFB    Y12, Y, Y

// func decodeAVX2(dst, src *byte, lines, stride int, ends, mask uint64) (done int)
TEXT ·decodeAVX2(SB), NOSPLIT, $0-56
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         lines+16(FP), CX
	MOVQ         stride+24(FP), DX
	MOVQ         ends+32(FP), R8
	MOVQ         mask+40(FP), R9
	XORQ         AX, AX
	VPBROADCASTD blank<>(SB), Y7
	VPBROADCASTD most<>(SB), Y8
	VPBROADCASTD six<>(SB), Y9
	VPBROADCASTD joinTwo<>(SB), Y10
	VPBROADCASTD joinFour<>(SB), Y11
	VMOVDQU      gather<>(SB), Y12

decodeLine:
	CMPQ AX, CX
	JGE  decoded
	CMPB (SI), $0x4d
	JNE  decoded
	MOVWLZX 61(SI), R10
	ANDQ R9, R10
	CMPQ R10, R8
	JNE  decoded
	VMOVDQU   1(SI), Y0
	VMOVDQU   29(SI), Y1
	VPSUBB    Y7, Y0, Y0
	VPSUBB    Y7, Y1, Y1
	VPMINUB   Y8, Y0, Y2
	VPMINUB   Y8, Y1, Y3
	VPCMPEQB  Y0, Y2, Y2
	VPCMPEQB  Y1, Y3, Y3
	VPAND     Y2, Y3, Y2
	VPMOVMSKB Y2, R11
	CMPL      R11, $-1
	JNE       decoded
	VPAND     Y9, Y0, Y0
	VPAND     Y9, Y1, Y1
	DECODE(Y0)
	DECODE(Y1)
	VEXTRACTI128 $1, Y0, X2
	VEXTRACTI128 $1, Y1, X3
	VMOVDQU   X0, (DI)
	VMOVDQU   X2, 12(DI)
	VMOVDQU   X1, 21(DI)
	VMOVDQU   X3, 33(DI)
	ADDQ      $45, DI
	ADDQ      DX, SI
	INCQ      AX
	JMP       decodeLine

decoded:
	VZEROUPPER
	MOVQ AX, done+48(FP)
	RET

// func cpuid(leaf, subleaf uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET
