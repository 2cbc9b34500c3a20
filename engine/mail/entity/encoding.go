package entity

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/transform"
)

// newBase64 decodes base64 as mail has it: characters outside of its alphabet are left
// out (RFC 2045 section 6.8), "=" may be missing, or be within, where two files were
// joined.
func newBase64(in io.Reader) io.Reader { return transform.NewReader(in, new(base64Text)) }

type base64Text struct {
	bits  uint32
	chars int // in bits: 0 to 3
}

// base64Values has the values of the alphabet's characters; 64 of "=", 255 of others.
var base64Values = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") {
		values[c] = byte(i)
	}
	return values
}()

var errHalfOctet = errors.New("base64 ends within an octet")

// Reset implements transform.Transformer.
func (b *base64Text) Reset() { *b = base64Text{} }

// Transform implements transform.Transformer.
func (b *base64Text) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if len(dst)-nDst < 3 {
			return nDst, nSrc, transform.ErrShortDst
		}
		v := base64Values[src[nSrc]]
		switch {
		case v < 64:
			b.bits, b.chars = b.bits<<6|uint32(v), b.chars+1
			if b.chars == 4 {
				dst[nDst], dst[nDst+1], dst[nDst+2] = byte(b.bits>>16), byte(b.bits>>8), byte(b.bits)
				nDst += 3
				b.bits, b.chars = 0, 0
			}
		case v == 64:
			n, err := b.flush(dst[nDst:])
			nDst += n
			if err != nil {
				return nDst, nSrc, err
			}
		}
	}
	if !atEOF {
		return nDst, nSrc, nil
	}
	if len(dst)-nDst < 3 {
		return nDst, nSrc, transform.ErrShortDst
	}
	n, err := b.flush(dst[nDst:])
	return nDst + n, nSrc, err
}

// flush gives the octets of a group that has ended early.
func (b *base64Text) flush(dst []byte) (int, error) {
	bits, chars := b.bits, b.chars
	b.bits, b.chars = 0, 0
	switch chars {
	case 1:
		return 0, errHalfOctet
	case 2:
		dst[0] = byte(bits >> 4)
		return 1, nil
	case 3:
		dst[0], dst[1] = byte(bits>>10), byte(bits>>2)
		return 2, nil
	}
	return 0, nil
}

// newQuoted decodes quoted-printable (RFC 2045 section 6.7) as mail has it: a "=" that
// isn't part of the encoding means itself, and so do octets that ought to be encoded.
// Package mime/quotedprintable ends at control characters and at lines of 4 KiB.
func newQuoted(in io.Reader) io.Reader { return transform.NewReader(in, quoted{}) }

type quoted struct{ transform.NopResetter }

// maxBlanks is how many blanks at the end of a line are known to be there by mistake.
const maxBlanks = 1000

// Transform implements transform.Transformer.
func (quoted) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		run := src[nSrc:]
		take, out, more := len(run), run, false
		switch i := bytes.IndexAny(run, "= \t"); {
		case i > 0:
			take, out = i, run[:i]
		case i == 0 && run[0] == '=':
			take, out, more = escape(run)
		case i == 0:
			take, out, more = blanks(run)
		}
		if more && !atEOF {
			return nDst, nSrc, transform.ErrShortSrc
		}
		if len(dst)-nDst < len(out) {
			if take != len(out) || nDst == len(dst) || len(out) == 1 {
				return nDst, nSrc, transform.ErrShortDst
			}
			out = out[:len(dst)-nDst]
			take = len(out)
		}
		nDst += copy(dst[nDst:], out)
		nSrc += take
	}
	return nDst, nSrc, nil
}

// escape reads what a "=" begins: how much to take, what to give for it, and whether
// more input could change the result.
func escape(run []byte) (take int, out []byte, more bool) {
	if len(run) > 2 {
		high, low := hexValue(run[1]), hexValue(run[2])
		if high < 16 && low < 16 {
			return 3, []byte{high<<4 | low}, false
		}
	}
	end := 1
	for end < len(run) && end < maxBlanks && (run[end] == ' ' || run[end] == '\t') {
		end++
	}
	rest := run[end:]
	switch {
	case len(rest) > 0 && rest[0] == '\n': // a soft line break
		return end + 1, nil, false
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return end + 2, nil, false
	case len(rest) == 0 && end < maxBlanks, len(rest) == 1 && rest[0] == '\r':
		return len(run), nil, true // the end of the text is one, too
	}
	return 1, run[:1], len(run) < 3
}

// blanks reads white space, which is not the text's at the end of a line.
func blanks(run []byte) (take int, out []byte, more bool) {
	end := 1
	for end < len(run) && end < maxBlanks && (run[end] == ' ' || run[end] == '\t') {
		end++
	}
	rest := run[end:]
	switch {
	case len(rest) == 0 && end < maxBlanks:
		return end, nil, true
	case len(rest) == 1 && rest[0] == '\r':
		return end, nil, true
	case len(rest) > 0 && rest[0] == '\n', len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return end, nil, false
	}
	return end, run[:end], false
}

// hexValue is the value of a hexadecimal digit; 16 of others.
func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
