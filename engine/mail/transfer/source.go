package transfer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// source is a file of mail: unpacked, its lines ended by LF or CRLF. It is an
// [io.ReaderAt] only where the file is read as it is.
type source struct {
	io.Reader
	name   string
	file   *os.File
	size   int64     // size of the file as it is read; 0: unknown
	unpack io.Closer // may be nil
}

// sniffed is how much of a file is looked at to see what it is.
const sniffed = 64 << 10

// openSource opens a file, by name, and finds out by its first octets what it is.
func openSource(name string) (*source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s := &source{Reader: f, name: name, file: f}
	if err := s.see(); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// see finds out what the file is.
func (s *source) see() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	var head []byte
	if info.Mode().IsRegular() {
		s.size = info.Size()
		head = make([]byte, min(sniffed, s.size))
		n, err := s.file.ReadAt(head, 0)
		if head = head[:n]; err != nil && err != io.EOF {
			return err
		}
	} else {
		head = s.buffer(6) // more could keep a terminal waiting
	}
	for _, p := range packings {
		if !bytes.HasPrefix(head, []byte(p.magic)) {
			continue
		}
		if p.open == nil {
			return kinded{fmt.Errorf("this is %s; unpack it first", p.name), ErrData}
		}
		if err := s.unpacked(p); err != nil {
			return err
		}
		head = s.buffer(sniffed)
	}
	s.inLines(head)
	return nil
}

// buffer looks at the next n octets.
func (s *source) buffer(n int) []byte {
	b := bufio.NewReaderSize(s.Reader, sniffed)
	s.Reader = b
	head, _ := b.Peek(n)
	return head
}

// inLines makes UTF-8 of UTF-16, and lines of a text that has CR alone, as that of
// old Macs.
func (s *source) inLines(head []byte) {
	order, mark := unicode.LittleEndian, unicode.UseBOM
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		order = unicode.BigEndian
	case len(head) >= 4 && head[0] > ' ' && head[1] == 0 && head[2] > ' ' && head[3] == 0:
		mark = unicode.IgnoreBOM
	case len(head) >= 4 && head[0] == 0 && head[1] > ' ' && head[2] == 0 && head[3] > ' ':
		order, mark = unicode.BigEndian, unicode.IgnoreBOM
	default:
		if bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0 {
			s.Reader = crLines{s.Reader}
		}
		return
	}
	s.size = 0
	s.Reader = transform.NewReader(s.Reader, unicode.UTF16(order, mark).NewDecoder())
	s.inLines(s.buffer(sniffed))
}

func (s *source) close() {
	if s.unpack != nil {
		_ = s.unpack.Close()
	}
	_ = s.file.Close()
}

// crLines reads CR as LF.
type crLines struct{ in io.Reader }

func (c crLines) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	for i, b := range p[:n] {
		if b == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// packing is a form of packed files, known by its first octets. Without open such
// a file is refused.
type packing struct {
	name, magic string
	open        func(in io.Reader) (io.Reader, io.Closer, error)
}

// maxWindow is the most memory that a zstd frame may ask for; Dovecot's ask for 8 MiB
// at most.
const maxWindow = 128 << 20

// packings are the formats that are unpacked, and formats that mail is found in. Readers of
// xz and LZ4 take as much memory as a file asks for, up to gigabytes.
var packings = []packing{
	{"gzip", "\x1f\x8b", func(in io.Reader) (io.Reader, io.Closer, error) {
		z, err := gzip.NewReader(in)
		return z, nil, err
	}},
	{"zstd", "\x28\xb5\x2f\xfd", func(in io.Reader) (io.Reader, io.Closer, error) {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		c := z.IOReadCloser()
		return c, c, nil
	}},
	{"bzip2", "BZh", func(in io.Reader) (io.Reader, io.Closer, error) { return bzip2.NewReader(in), nil, nil }},
	{"a file compressed by xz", "\xfd7zXZ\x00", nil},
	{"a file compressed by LZ4", "\x04\x22\x4d\x18", nil},
	{"a file compressed by Dovecot in LZ4 (doveadm can export it)", "Dovecot-LZ4", nil},
	{"a file compressed by lzip", "LZIP", nil},
	{"a file compressed by compress", "\x1f\x9d", nil},
	{"a zip archive", "PK\x03\x04", nil},
	{"a 7-Zip archive", "7z\xbc\xaf\x27\x1c", nil},
	{"an Outlook message (.msg)", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", nil},
	{"an Outlook data file (.pst)", "!BDN", nil},
}

// unpacked puts the reader of a packing before the file.
func (s *source) unpacked(p packing) error {
	in := &counted{in: s.Reader}
	z, c, err := p.open(in)
	s.size, s.unpack = 0, c
	b := &bounded{in: z, packed: in, what: "this " + p.name + " file can't be unpacked"}
	s.Reader = b
	if err != nil {
		return b.wrong(err)
	}
	return nil
}

// counted counts what was read, and keeps the error.
type counted struct {
	in  io.Reader
	n   int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	if err != io.EOF {
		c.err = err
	}
	return n, err
}

const (
	maxGrowth = 250      // octets that may come of one packed octet; mail has up to 20
	freely    = 64 << 20 // octets that come of any file
)

var errBomb = errors.New("too large when unpacked")

// bounded reads what is unpacked, as long as it is in proportion to the packed file.
type bounded struct {
	in     io.Reader
	packed *counted
	n      int64
	what   string
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if b.n += int64(n); b.n > freely+maxGrowth*b.packed.n {
		err = errBomb
	}
	if err != nil && err != io.EOF {
		err = b.wrong(err)
	}
	return n, err
}

// wrong is an error of unpacking: the file's fault unless it can't be read.
func (b *bounded) wrong(err error) error {
	if b.packed.err != nil {
		return err
	}
	return kinded{fmt.Errorf("%s: %w", b.what, err), ErrData}
}
