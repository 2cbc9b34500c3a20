package dot

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"testing"
)

// BenchmarkBeside sets the three jobs of this package beside the library and beside the
// plainest thing there is, bytes.Index, in cache and out of it: bench/run lines makes a
// table of it. What is sent in place (Scanner, Stuffer) copies nothing, as in the server;
// the others make a copy, as a caller that needs one must.
func BenchmarkBeside(b *testing.B) {
	for _, size := range []struct {
		name   string
		octets int
	}{{"64K", 64 << 10}, {"64M", 64 << 20}} {
		src := sample(size.octets, false)
		dotted := append(src[:len(src):len(src)], ".\r\n"...)
		dst := make([]byte, 0, 2*len(src))
		f := func(name string, run func()) {
			b.Run(name+"/"+size.name, func(b *testing.B) {
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					run()
				}
			})
		}
		f("scan/ours", func() { scanAll(&Scanner{}, src) })
		f("scan/library_ReadSlice", func() { readLines(src) })
		f("scan/Index_of_line_ends", func() { countIndex(src, "\r\n") })
		f("scan/Index_of_dots", func() { countIndex(src, "\r\n.") })
		f("stuff/ours_in_place", func() { scanAll(&Stuffer{}, src) })
		f("stuff/ours_copied", func() { dst = AppendStuffed(dst[:0], src) })
		f("stuff/library_DotWriter", func() { libraryStuff(src) })
		f("stuff/Index_copied", func() { dst = indexStuff(dst[:0], src) })
		f("unstuff/ours_in_place", func() { scanAll(&Scanner{}, dotted) })
		f("unstuff/ours_copied", func() { dst = AppendUnstuffed(dst[:0], src) })
		f("unstuff/library_DotReader", func() { libraryUnstuff(dotted) })
		f("unstuff/Index_copied", func() { dst = indexUnstuff(dst[:0], src) })
	}
}

// scanAll hands src to a Scanner or Stuffer until it wants more, or has seen the end.
func scanAll(s interface {
	Scan([]byte) (int, int, Verdict)
}, src []byte) {
	for rest := src; len(rest) > 0; {
		n, skip, v := s.Scan(rest)
		rest = rest[n+skip:]
		if v == More {
			return
		}
	}
}

// countIndex counts pattern by bytes.Index.
func countIndex(src []byte, pattern string) (n int) {
	for {
		i := bytes.Index(src, []byte(pattern))
		if i < 0 {
			return n
		}
		n++
		src = src[i+len(pattern):]
	}
}

// readLines reads lines as bufio does.
func readLines(src []byte) (n int) {
	r := bufio.NewReaderSize(bytes.NewReader(src), 64<<10)
	for {
		if _, err := r.ReadSlice('\n'); err != nil {
			return n
		}
		n++
	}
}

func libraryStuff(src []byte) {
	w := textproto.NewWriter(bufio.NewWriterSize(io.Discard, 64<<10)).DotWriter()
	_, _ = w.Write(src)
	_ = w.Close()
}

func libraryUnstuff(src []byte) {
	_, _ = io.Copy(io.Discard, textproto.NewReader(bufio.NewReaderSize(bytes.NewReader(src), 64<<10)).DotReader())
}

func indexStuff(dst, src []byte) []byte {
	for {
		i := bytes.Index(src, []byte("\r\n."))
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(append(dst, src[:i+3]...), '.')
		src = src[i+3:]
	}
}

func indexUnstuff(dst, src []byte) []byte {
	for {
		i := bytes.Index(src, []byte("\r\n."))
		if i < 0 {
			return append(dst, src...)
		}
		dst = append(dst, src[:i+2]...)
		src = src[i+3:]
	}
}
