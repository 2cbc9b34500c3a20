package uu

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
)

// Alphabet is the character that means zero.
type Alphabet uint8

// The alphabets.
const (
	Backtick Alphabet = iota // "`": survives mail
	Space                    // " ": as it was at first
)

// zero is the character for zero.
func (a Alphabet) zero() byte {
	if a == Space {
		return ' '
	}
	return '`'
}

// Header is a parsed begin line.
type Header struct {
	Mode   uint32 // permissions, as 0o644
	Name   string
	Base64 bool
}

// perLine is how many octets a whole line has, and lineLen how long it is with its LF.
const (
	perLine = 45
	lineLen = 1 + perLine/3*4 + 1
)

// EncodedLen is the number of octets of AppendEncode for n octets.
func EncodedLen(n int) int {
	whole, rest := n/perLine, n%perLine
	if rest == 0 {
		return whole * lineLen
	}
	return whole*lineLen + 1 + (rest+2)/3*4 + 1
}

// AppendBegin appends the line that begins a file. Line breaks in the name become "_".
func AppendBegin(dst []byte, h Header) []byte {
	dst = append(dst, "begin"...)
	if h.Base64 {
		dst = append(dst, "-base64"...)
	}
	mode := strconv.FormatUint(uint64(h.Mode&0o7777), 8)
	dst = append(dst, ' ')
	dst = append(dst, "000"[min(len(mode), 3):]...)
	dst = append(dst, mode...)
	dst = append(dst, ' ')
	dst = append(dst, strings.NewReplacer("\r", "_", "\n", "_").Replace(h.Name)...)
	return append(dst, '\n')
}

// AppendEnd appends what ends a file after its last line.
func AppendEnd(dst []byte, h Header, a Alphabet) []byte {
	if h.Base64 {
		return append(dst, "====\n"...)
	}
	return append(append(dst, a.zero()), "\nend\n"...)
}

// AppendFile appends a whole file, from begin to end, with LF.
func AppendFile(dst []byte, h Header, octets []byte, a Alphabet) []byte {
	dst = AppendBegin(dst, h)
	if h.Base64 {
		dst = AppendBase64(dst, octets)
	} else {
		dst = AppendEncode(dst, octets, a)
	}
	return AppendEnd(dst, h, a)
}

// AppendEncode appends the lines of src to dst: whole ones, and a shorter one if
// anything is left. So of a file that comes in pieces each but the last has to be a
// multiple of 45 octets. src is borrowed for the call.
func AppendEncode(dst, src []byte, a Alphabet) []byte {
	n := EncodedLen(len(src))
	at := len(dst)
	dst = grow(dst, n)
	out := dst[at:]
	if useAVX2 {
		// The kernel reads and writes a few octets after a line: another one has to follow.
		if lines := len(src)/perLine - 1; lines > 0 {
			encodeAVX2(&out[0], &src[0], lines, uint64(a.zero()-' ')*0x0101010101010101)
			out, src = out[lines*lineLen:], src[lines*perLine:]
		}
	}
	encodeLines(out, src, a)
	return dst
}

// grow makes dst n octets longer; what they are is left open.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		bigger := make([]byte, len(dst), max(2*cap(dst), len(dst)+n))
		copy(bigger, dst)
		dst = bigger
	}
	return dst[:len(dst)+n]
}

// pairs have the two characters of each value of twelve bits, the first one low.
var pairs = func() (ps [2][4096]uint16) {
	for a := range ps {
		for v := range 4096 {
			ps[a][v] = uint16(char(byte(v>>6), Alphabet(a))) | uint16(char(byte(v&63), Alphabet(a)))<<8
		}
	}
	return ps
}()

// char is the character of a value of six bits.
func char(v byte, a Alphabet) byte {
	if v == 0 {
		return a.zero()
	}
	return v + ' '
}

// encodeLines fills out with the lines of src, without vectors.
func encodeLines(out, src []byte, a Alphabet) {
	pairs := &pairs[a]
	for len(src) > 0 {
		line := src[:min(perLine, len(src))]
		src = src[len(line):]
		out[0] = char(byte(len(line)), a)
		out = out[1:]
		for len(line) >= 3 {
			v := uint(line[0])<<16 | uint(line[1])<<8 | uint(line[2])
			binary.LittleEndian.PutUint32(out, uint32(pairs[v>>12])|uint32(pairs[v&4095])<<16)
			out, line = out[4:], line[3:]
		}
		if len(line) > 0 { // what is missing of the last group is zero
			v := uint(line[0]) << 16
			if len(line) == 2 {
				v |= uint(line[1]) << 8
			}
			binary.LittleEndian.PutUint32(out, uint32(pairs[v>>12])|uint32(pairs[v&4095])<<16)
			out = out[4:]
		}
		out[0] = '\n'
		out = out[1:]
	}
}

// AppendBase64 appends the lines of src for a file with Header.Base64, 60 characters
// each. The rule of AppendEncode for pieces applies too.
func AppendBase64(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(perLine, len(src))
		dst = append(base64.StdEncoding.AppendEncode(dst, src[:n]), '\n')
		src = src[n:]
	}
	return dst
}
