package transfer

import "io"

// base64Text is base64 as mail has it, made fit for encoding/base64: characters that are
// none of its alphabet are left out, as RFC 2045 section 6.8 says, and a missing "=" at
// the end is put there.
type base64Text struct {
	in    io.Reader
	count int // of characters given
	err   error
}

// Read implements io.Reader.
func (b *base64Text) Read(p []byte) (int, error) {
	for b.err == nil {
		n, err := b.in.Read(p)
		b.err = err
		kept := 0
		for _, c := range p[:n] {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
				p[kept] = c
				kept++
			}
		}
		b.count += kept
		if kept > 0 {
			return kept, nil
		}
	}
	if b.err != io.EOF || b.count%4 < 2 || len(p) == 0 {
		return 0, b.err
	}
	p[0] = '='
	b.count++
	return 1, nil
}
