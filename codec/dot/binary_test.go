package dot

import (
	"bytes"
	"strings"
	"testing"
)

// slowIsText says by replacements what Binary counts.
func slowIsText(src string) bool {
	for line := range strings.SplitSeq(src, "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
			return false
		}
	}
	return true
}

func checkBinary(t *testing.T, src string, cut int) {
	t.Helper()
	var b Binary
	var wire []byte
	for piece := range bytesChunks([]byte(src), cut) {
		for {
			n, _, v := b.Scan(piece)
			wire = append(wire, piece[:n]...)
			piece = piece[n:]
			if v == More {
				break
			}
			wire = append(wire, '.')
		}
	}
	if want := slowStuff(src); string(wire) != want {
		t.Fatalf("%q, cut %d: got %q, want %q", src, cut, wire, want)
	}
	if back := AppendUnstuffed(nil, wire); string(back) != src {
		t.Fatalf("%q became %q and then %q", src, wire, back)
	}
	if got, want := b.IsText(), slowIsText(src); got != want {
		t.Fatalf("%q, cut %d: IsText is %v", src, cut, got)
	}
	if b.Size != int64(len(src)) || b.Wire != int64(len(wire)) || b.EightBit != slowCounts(src).EightBit {
		t.Fatalf("%q, cut %d: %+v", src, cut, b.Counts)
	}
	if b.AtLineStart() != (src == "" || strings.HasSuffix(src, "\r\n")) {
		t.Fatalf("%q, cut %d: AtLineStart is %v", src, cut, b.AtLineStart())
	}
	if !b.IsText() {
		return
	}
	if !b.AtLineStart() {
		b.CountCRLF()
		src += "\r\n"
	}
	if !isWireForm(slowStuff(src)) || b.LongestLine != slowCounts(slowStuff(src)).LongestLine {
		t.Fatalf("%q, cut %d: %+v", src, cut, b.Counts)
	}
}

func TestBinary_Edges(t *testing.T) {
	long := strings.Repeat("y", 998)
	for _, src := range append(edges, long, long+"\r\n", "a\r\n"+long+"y\r\n", long+"y", long+"\r", "\x00", "a\r\n.\r\nb\x00") {
		for _, cut := range []int{1, 2, 3, 5, max(1, len(src))} {
			checkBinary(t, src, cut)
		}
	}
}

func FuzzBinary(f *testing.F) {
	for _, src := range edges {
		f.Add(src, 3)
	}
	f.Fuzz(func(t *testing.T, src string, cut int) { checkBinary(t, src, 1+(cut&63)) })
}

func BenchmarkBinary(b *testing.B) {
	src := bytes.Repeat([]byte(strings.Repeat("x", 74)+"\r\n"), 2000)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		var s Binary
		s.Scan(src)
	}
}
