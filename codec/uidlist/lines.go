package uidlist

import (
	"bufio"
	"io"
	"math"
)

// maxLine bounds a line. The longest file name has 255 octets.
const maxLine = 4096

// lines reads a file line by line.
type lines struct {
	in *bufio.Reader
	n  int // number of the line that next returned
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, 4*maxLine)} }

// next returns the next line, without its end and good until the next call; io.EOF after
// the last one. Of a line that is too long nothing is left.
func (l *lines) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	tooLong := len(line) > maxLine
	for err == bufio.ErrBufferFull {
		_, err = l.in.ReadSlice('\n')
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	l.n++
	if tooLong {
		return nil, nil
	}
	if n := len(line); line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// number reads the digits that text begins with; ok: there are some, and they are a number
// of 64 bits.
func number(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		d := uint64(text[i] - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, text, false
		}
		n = n*10 + d
	}
	return n, text[i:], i > 0
}
