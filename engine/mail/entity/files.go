package entity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"strings"

	"postrider/codec/uu"
)

// maxLine bounds a line of a uuencoded file, and its first line.
const maxLine = 1 << 10

// text is a part of text, told apart from the files that are uuencoded in it.
type text struct {
	leaf  Leaf
	in    *bufio.Reader
	begin bool      // a line begins
	now   io.Reader // what was given last
	files int
}

func newText(leaf Leaf, body io.Reader) *text {
	return &text{leaf: leaf, in: bufio.NewReaderSize(body, 8<<10), begin: true}
}

// next is the text up to the next file, or that file; not ok: there is nothing else. The
// first text is given however it is, without an error: reading it will tell.
func (t *text) next() (leaf Leaf, body io.Reader, ok bool, err error) {
	first := t.now == nil
	if !first {
		if _, err := io.Copy(io.Discard, t.now); err != nil && !errors.Is(err, ErrDamaged) {
			return Leaf{}, nil, false, err
		}
	}
	if _, isFile := t.file(); isFile {
		return t.nextFile()
	}
	if _, err := t.in.Peek(1); err != nil && !first {
		if err == io.EOF || errors.Is(err, ErrDamaged) {
			err = nil // the reader of the text has got the error
		}
		return Leaf{}, nil, false, err
	}
	t.now = textRun{t}
	return t.leaf, t.now, true, nil
}

func (t *text) nextFile() (Leaf, io.Reader, bool, error) {
	header, _ := t.file()
	t.files++
	name := uu.SafeName(header.Name)
	leaf := Leaf{
		Path: fmt.Sprintf("%su%d", t.leaf.Path, t.files), Name: name, Type: TypeByName(name),
		Attachment: true, UU: true,
	}
	t.now = &file{in: t.in, path: leaf.Path}
	return leaf, t.now, true, nil
}

// TypeByName is the type of a file by its name's extension, without parameters.
func TypeByName(name string) string {
	kind, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(name)), ";")
	if kind == "" {
		return "application/octet-stream"
	}
	return strings.ToLower(strings.TrimSpace(kind))
}

// file reports whether a uuencoded file begins here: its first line, and one after it
// that can be the file's first.
func (t *text) file() (uu.Header, bool) {
	if !t.begin {
		return uu.Header{}, false
	}
	if start, _ := t.in.Peek(len("begin")); string(start) != "begin" {
		return uu.Header{}, false
	}
	ahead, _ := t.in.Peek(2 * maxLine)
	line, rest, ok := bytes.Cut(ahead, []byte("\n"))
	second, _, _ := bytes.Cut(rest, []byte("\n"))
	if !ok || !uu.IsLine(second) {
		return uu.Header{}, false
	}
	return uu.ParseBegin(line)
}

// textRun reads text up to the next file.
type textRun struct{ *text }

// Read implements io.Reader.
func (t textRun) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if _, isFile := t.file(); isFile {
		return 0, io.EOF
	}
	ahead, err := t.in.Peek(max(t.in.Buffered(), 1))
	if len(ahead) == 0 {
		return 0, err
	}
	run := ahead[:min(len(ahead), len(p))]
	if i := bytes.Index(run, []byte("\nb")); i >= 0 { // a look at every line would be slow
		run = run[:i+1]
	}
	n := copy(p, run)
	t.begin = run[n-1] == '\n'
	_, _ = t.in.Discard(n) // it is in there
	return n, nil
}

// file reads a uuencoded file, and leaves other lines to the text.
type file struct {
	in     *bufio.Reader
	path   string
	decode uu.Decoder
	octets []byte
	back   []byte
	err    error
}

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	for len(f.octets) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		f.back, f.err = f.line(f.back[:0])
		f.octets = f.back
	}
	n := copy(p, f.octets)
	f.octets = f.octets[n:]
	return n, nil
}

// line decodes the next line.
func (f *file) line(dst []byte) ([]byte, error) {
	ahead, err := f.in.Peek(min(max(f.in.Buffered(), 1), maxLine))
	if bytes.IndexByte(ahead, '\n') < 0 && len(ahead) < maxLine && err == nil {
		ahead, err = f.in.Peek(maxLine)
	}
	if len(ahead) == 0 && err != io.EOF {
		return dst, err
	}
	n := bytes.IndexByte(ahead, '\n') + 1
	var event uu.Event
	var damage error
	if n == 0 { // the last line
		n = len(ahead)
		dst, _, event, damage = f.decode.Decode(dst, ahead)
		if damage == nil && event != uu.End {
			dst, event, damage = f.decode.Close(dst)
		}
	} else {
		dst, _, event, damage = f.decode.Decode(dst, ahead[:n])
	}
	if damage != nil {
		return dst, fmt.Errorf("the file %s is %w: %w (counted from its line of begin)", f.path, ErrDamaged, damage)
	}
	_, _ = f.in.Discard(n)
	if event == uu.End || len(ahead) == 0 {
		return dst, io.EOF
	}
	return dst, nil
}

// newUUBody decodes a body whose transfer encoding is uuencode, as some programs of the
// nineties wrote it: the first file in it.
func newUUBody(in io.Reader) io.Reader {
	b := bufio.NewReaderSize(in, 8<<10)
	t := &text{in: b, begin: true}
	return &lateFile{t: t}
}

type lateFile struct {
	t    *text
	file io.Reader
}

func (l *lateFile) Read(p []byte) (int, error) {
	if l.file == nil {
		if _, err := io.Copy(io.Discard, textRun{l.t}); err != nil {
			return 0, err
		}
		if _, ok := l.t.file(); !ok {
			return 0, errors.New("no uuencoded file in it")
		}
		l.file = &file{in: l.t.in}
	}
	return l.file.Read(p)
}
