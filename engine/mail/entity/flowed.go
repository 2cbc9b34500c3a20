package entity

import (
	"bufio"
	"bytes"
	"io"

	"postrider/codec/uu"
)

// flowed undoes format=flowed (RFC 3676 section 4): lines that end with a blank go on in
// the next one of the same depth of quotation, the blank that stuffs a line goes, and a
// line of "-- " is that. With del, the blank at the end was put there by the writer
// (DelSp=Yes) and goes, too. A uuencoded file within is left as it is. A paragraph is one
// line afterwards; it is given piece by piece, and never whole in memory.
type flowed struct {
	in    *bufio.Reader // text with LF
	del   bool
	out   []byte // given and not read yet
	back  []byte // memory of out
	open  bool   // the last line goes on
	depth int    // depth of its quotation
	mid   bool   // what comes is the rest of a long line
	files bool   // lines of a uuencoded file come
	err   error
}

// maxFlowed is how much of a line is looked at at a time.
const maxFlowed = 8 << 10

func newFlowed(in io.Reader, del bool) io.Reader {
	return &flowed{in: bufio.NewReaderSize(in, maxFlowed), del: del}
}

// Read implements io.Reader.
func (f *flowed) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		line, err := f.in.ReadSlice('\n')
		f.back = f.back[:0]
		if len(line) > 0 {
			f.line(line, err == nil)
		}
		if err != nil && err != bufio.ErrBufferFull {
			if f.open {
				f.back = append(f.back, '\n')
			}
			f.err = err
		}
		f.out = f.back
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

// line takes a line, or a piece of one that has more; whole: its end is there.
func (f *flowed) line(line []byte, whole bool) {
	if f.files {
		f.back = append(f.back, line...)
		f.files = !bytes.Equal(bytes.TrimRight(line, " \r\n"), []byte("end"))
		return
	}
	if bytes.HasPrefix(line, []byte("begin")) {
		line = bytes.Clone(line) // a look further ahead would spoil it
	}
	text := bytes.TrimSuffix(line, []byte("\n"))
	if !f.mid {
		if whole && f.file(text) {
			f.close()
			f.back = append(f.back, line...)
			f.files = true
			return
		}
		text = f.begin(text)
	}
	if f.mid = !whole; f.mid {
		f.open = false
		f.back = append(f.back, text...)
		return
	}
	f.open = bytes.HasSuffix(text, []byte(" ")) && !bytes.Equal(text, []byte("-- "))
	if f.open && f.del {
		text = text[:len(text)-1]
	}
	f.back = append(f.back, text...)
	if !f.open {
		f.back = append(f.back, '\n')
	}
}

// begin reads what a line begins with, and writes what separates it from the one before.
func (f *flowed) begin(text []byte) []byte {
	depth := 0
	for depth < len(text) && text[depth] == '>' {
		depth++
	}
	text = text[depth:]
	if bytes.HasPrefix(text, []byte(" ")) {
		text = text[1:]
	}
	if f.open && (depth != f.depth || bytes.Equal(text, []byte("-- "))) {
		f.close()
	}
	if !f.open {
		f.back = append(f.back, bytes.Repeat([]byte(">"), depth)...)
		if depth > 0 && len(text) > 0 {
			f.back = append(f.back, ' ')
		} else if depth == 0 && bytes.HasPrefix(text, []byte(">")) {
			f.back = append(f.back, ' ') // it was stuffed so as not to be a quotation
		}
	}
	f.depth = depth
	return text
}

// close ends a paragraph whose last line promised more.
func (f *flowed) close() {
	if f.open {
		f.back = append(f.back, '\n')
	}
	f.open = false
}

// file reports whether a line begins a uuencoded file.
func (f *flowed) file(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("begin")) {
		return false
	}
	next, _ := f.in.Peek(maxLine)
	next, _, _ = bytes.Cut(next, []byte("\n"))
	_, ok := uu.ParseBegin(line)
	return ok && uu.IsLine(next)
}
