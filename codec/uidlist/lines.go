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

// read reads a list: first takes its first line, and each all others. A list without a line,
// and one with a wrong first line, is an error.
func read(r io.Reader, first func(line []byte) error, each func(line []byte)) error {
	in := newLines(r)
	line, err := in.next()
	if err == io.EOF {
		return &FormatError{1, "the file is empty"}
	}
	if err == nil {
		err = first(line)
	}
	for err == nil {
		if line, err = in.next(); err == nil {
			each(line)
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// number32 is number for the numbers of Dovecot, which have 32 bits.
func number32(text []byte) (n uint32, rest []byte, ok bool) {
	wide, rest, ok := number(text)
	return uint32(wide), rest, ok && wide <= math.MaxUint32 //nolint:gosec // compared
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
