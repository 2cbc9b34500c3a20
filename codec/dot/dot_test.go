package dot

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// checkScan holds both scanners to the oracle, whole and cut.
func checkScan(t *testing.T, src string) {
	t.Helper()
	for _, stuffed := range []bool{true, false} {
		wire, events, used, ended := slowScan(src, stuffed)
		counts := slowCounts(wire)
		for _, cut := range []int{max(1, len(src)), 1, 2, 3, 4, 5, 6, 7} {
			var in Scanner
			var plain Stuffer
			s, got := scanner(&in), &in.Counts
			if !stuffed {
				s, got = &plain, &plain.Counts
			}
			gotWire, gotEvents, gotUsed, gotEnded := fastScan(s, src, cut)
			if gotWire != wire || !reflect.DeepEqual(gotEvents, events) || gotUsed != used || gotEnded != ended {
				t.Fatalf("%q, stuffed %v, cut %d:\ngot  %q %v %d %v\nwant %q %v %d %v", src, stuffed, cut,
					gotWire, gotEvents, gotUsed, gotEnded, wire, events, used, ended)
			}
			if *got != counts {
				t.Fatalf("%q, stuffed %v, cut %d: got %+v, want %+v", src, stuffed, cut, *got, counts)
			}
		}
	}
}

// edges are inputs at which decoders of other servers have failed.
var edges = []string{
	"", ".", ".\r", ".\r\n", "\r", "\r\n", "\n", "a", "\r\n.\r\n", "a\r\n.\r\nQUIT\r\n", "..\r\n.\r\n",
	"a\n.\n", "a\n.\r\nb", "a\r\n.\nb", "a\r\n.\rb", "a\r\n.\r\r\n.\r\n", "a\r.\r\n", "\r\r\n.\r\n", "\r.\r\n",
	"a\r\n.\r\r\n", "\r\n.\r\n", "\n.\r\n.\r\n", "\n..\r\n", ".\n.\n.\r\n", ".\r.\r\n.\r\n", ".\r\n.\r\n",
	".a\r\n..b\r\n...\r\n.\r\n", ". \r\n.\t.\r\n.\r\n", ".\x00\r\n..\x00\r\n.\r\n", "a\r\n.b\r\n.\xe9\r\n.", "a\r\n\x00\xff\r\n.\r\n", "\r\n.\xff\r\n.\r\n", "\n\r\n.\r\n", "\n\r.\r\n", "\r\n\r.x\r\n.\r\n",
}

func TestScan_Edges(t *testing.T) {
	for _, src := range edges {
		checkScan(t, src)
		checkScan(t, "From: a\r\n\r\nText\r\n"+src)
		checkScan(t, strings.Repeat("x", 300)+src)
		checkScan(t, strings.Repeat("0123456789\r\n.x\r\n", blockLen/15)+src)
	}
}

// TestScan_Short: every message of up to 6 octets of the alphabet that matters.
func TestScan_Short(t *testing.T) {
	const alphabet = "\r\n.x"
	var src [6]byte
	var extend func(n int)
	extend = func(n int) {
		checkScan(t, string(src[:n]))
		if n == len(src) {
			return
		}
		for i := range len(alphabet) {
			src[n] = alphabet[i]
			extend(n + 1)
		}
	}
	extend(0)
}

// RFC 5321 section 4.1.1.4: the mail data are terminated by CRLF . CRLF, and
// nothing else ends them.
func TestScan_OnlyCRLFDotCRLFEnds(t *testing.T) {
	f := func(src string, want bool) {
		t.Helper()
		var s Scanner
		if _, _, _, ended := fastScan(&s, src, len(src)); ended != want {
			t.Errorf("%q: ended is %v", src, ended)
		}
	}
	f(".\r\n", true)
	f("a\r\n.\r\n", true)
	f("a\n.\n", false)
	f("a\n.\r\n", false)
	f("a\r\n.\n", false)
	f("a\r.\r", false)
	f("a\r\n.\r\r\n", false)
	f("a\r\n.\r\x00\n", false)
	f("a\r\r\n.\r\n", true)
}

// TestScan_WireFormIsSafe: whatever came, what was kept holds no terminator.
func TestScan_WireFormIsSafe(t *testing.T) {
	for _, src := range edges {
		var s Scanner
		wire, _, _, _ := fastScan(&s, src+"\r\n", 3)
		if !isWireForm(wire) {
			t.Errorf("%q became %q", src, wire)
		}
	}
}

// isWireForm reports whether wire is whole lines of the one wire form: CRLF ends each
// line, CR and LF are nowhere else, and a first dot has a second one.
func isWireForm(wire string) bool {
	lines := strings.Split(wire, "\r\n")
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n") || line != "" && line[0] == '.' && !strings.HasPrefix(line, "..") {
			return false
		}
	}
	return lines[len(lines)-1] == ""
}

// RFC 5321 section 4.5.2: "If the first character is a period and there are other
// characters on the line, the first character is deleted", whatever they are.
func TestScan_LoneDot(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		for cut := 1; cut <= len(src); cut++ {
			var s Scanner
			wire, _, _, ended := fastScan(&s, src+".\r\n", cut)
			if wire != want || !ended || s.Wire != int64(len(want)) || s.Size != int64(len(slowUnstuff(want))) {
				t.Errorf("%q, cut %d: got %q, ended %v, counts %+v, want %q", src, cut, wire, ended, s.Counts, want)
			}
		}
	}
	f(".x\r\n", "x\r\n")
	f("a\r\n.hidden\r\n..two\r\n", "a\r\nhidden\r\n..two\r\n")
	f(". \r\n", " \r\n")
	f(".\x00\r\n", "\x00\r\n")
	f(".\xc3\xa9.\r\n", "\xc3\xa9.\r\n")
	f("..\r\n...\r\n", "..\r\n...\r\n")
}

// TestScan_LinearTime: inputs at which a search that looks ahead too far takes
// quadratic time, so that this test would not end. It measures nothing else.
func TestScan_LinearTime(t *testing.T) {
	for _, unit := range []string{"\r", "\n", "\r\n\rx", "\n.", "\r\n.x", "\r\n", ".\r\n", "\r\n.\n", "x", ".x\r\n", "..\r\n.x\r\n"} {
		var s Scanner
		src := []byte(strings.Repeat(unit, (1<<20)/len(unit)))
		for {
			n, skip, v := s.Scan(src)
			src = src[n+skip:]
			if v == More {
				break
			}
			if v == End {
				s.Reset()
			}
		}
	}
}

func TestConvert(t *testing.T) {
	f := func(plain, wire string) {
		t.Helper()
		if got := string(AppendStuffed([]byte("dst"), []byte(plain))); got != "dst"+wire {
			t.Errorf("AppendStuffed(%q) = %q, want %q", plain, got, wire)
		}
		if got := string(AppendUnstuffed([]byte("dst"), []byte(wire))); got != "dst"+plain {
			t.Errorf("AppendUnstuffed(%q) = %q, want %q", wire, got, plain)
		}
	}
	f("", "")
	f("a\r\n", "a\r\n")
	f(".", "..")
	f("..", "...")
	f(".\r\n.\r\n", "..\r\n..\r\n")
	f("a.b\r\n.c", "a.b\r\n..c")
	f("a\n.\r.", "a\n.\r.")
}

func TestTop(t *testing.T) {
	f := func(wire string, lines int, want string, wantDone bool) {
		t.Helper()
		slow, slowDone := slowTop(wire, lines)
		if slow != want || slowDone != wantDone {
			t.Errorf("the oracle: %q, %d: got %q %v, want %q %v", wire, lines, slow, slowDone, want, wantDone)
		}
		checkTop(t, wire, lines)
	}
	f("A: b\r\n\r\n1\r\n2\r\n", 0, "A: b\r\n\r\n", true)
	f("A: b\r\n\r\n1\r\n2\r\n", 1, "A: b\r\n\r\n1\r\n", true)
	f("A: b\r\n\r\n1\r\n2\r\n", 2, "A: b\r\n\r\n1\r\n2\r\n", true)
	f("A: b\r\n\r\n1\r\n2\r\n", 3, "A: b\r\n\r\n1\r\n2\r\n", false)
	f("A: b\r\n\r\n..\r\n...\r\n", 1, "A: b\r\n\r\n..\r\n", true)
	f("A: b\r\n\r\n\r\n\r\n", 1, "A: b\r\n\r\n\r\n", true)
	f("A: b\r\n", 5, "A: b\r\n", false)
	f("A: b\r\n", 0, "A: b\r\n", false)
	f("\r\nbody\r\n", 0, "\r\n", true)
	f("", 0, "", false)
}

func checkTop(t *testing.T, wire string, lines int) {
	t.Helper()
	want, wantDone := slowTop(wire, lines)
	for cut := 1; cut <= max(1, min(8, len(wire))); cut++ {
		top, got, done := NewTop(lines), "", false
		for from := 0; from < len(wire) && !done; from += cut {
			piece := wire[from:min(from+cut, len(wire))]
			var n int
			n, done = top.Take([]byte(piece))
			got += piece[:n]
		}
		if got != want || done != wantDone && len(wire) > 0 {
			t.Fatalf("%q, %d lines, cut %d: got %q %v, want %q %v", wire, lines, cut, got, done, want, wantDone)
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, src := range edges {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) { checkScan(t, src) })
}

func FuzzConvert(f *testing.F) {
	for _, src := range edges {
		f.Add(src, 3)
	}
	f.Fuzz(func(t *testing.T, plain string, cut int) {
		wire := AppendStuffed(nil, []byte(plain))
		if string(wire) != slowStuff(plain) {
			t.Fatalf("AppendStuffed(%q) = %q, want %q", plain, wire, slowStuff(plain))
		}
		if back := AppendUnstuffed(nil, wire); string(back) != plain {
			t.Fatalf("%q became %q and then %q", plain, wire, back)
		}
		var u Unstuffer
		var got []byte
		for piece := range bytesChunks([]byte(plain), max(1, cut)) {
			got = u.Append(got, piece)
		}
		if string(got) != slowUnstuff(plain) {
			t.Fatalf("unstuffing %q cut every %d: got %q, want %q", plain, cut, got, slowUnstuff(plain))
		}
	})
}

func bytesChunks(b []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

func FuzzTop(f *testing.F) {
	for _, src := range edges {
		f.Add(src, 1)
	}
	f.Fuzz(func(t *testing.T, wire string, lines int) {
		// Only good wire form is stored: no bare CR, no bare LF.
		wire = strings.NewReplacer("\r", "", "\n", "\r\n").Replace(wire)
		checkTop(t, wire, min(max(lines, 0), 1000))
	})
}

// TestScan_Random: long random messages, across blocks.
func TestScan_Random(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	units := []string{"\r\n", "\r\n", "\r\n", "\r\n.", "\r\n..", "text of a line", ".", "\xc3\xbc", "x", "line\r\nline\r\nline\r\n"}
	rare := []string{"\n", "\r", "\n.", "\r\n.\n", "\r\n.\r"}
	for range 30 {
		var b strings.Builder
		for b.Len() < 2*blockLen {
			b.WriteString(units[r.IntN(len(units))])
			if r.IntN(3000) == 0 {
				b.WriteString(rare[r.IntN(len(rare))])
			}
		}
		checkScan(t, b.String())
	}
}

// sample is text of 76 columns.
func sample(octets int, dots bool) []byte {
	line := strings.Repeat("abcdefgh ijkl mnopq", 4) + "\r\n"
	if dots {
		line = ".." + line[2:]
	}
	return []byte(strings.Repeat(line, octets/len(line)))
}

func BenchmarkScan(b *testing.B) {
	f := func(name string, src []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			var s Scanner
			for b.Loop() {
				s.Reset()
				for rest := src; ; {
					n, skip, v := s.Scan(rest)
					rest = rest[n+skip:]
					if v == More {
						break
					}
				}
			}
		})
	}
	f("text4K", sample(4<<10, false))
	f("text200K", sample(200<<10, false))
	f("dots200K", sample(200<<10, true))
	f("lines1000/200K", bytes.Repeat([]byte(strings.Repeat("x", 998)+"\r\n"), 200))
	f("bareLF200K", bytes.ReplaceAll(sample(200<<10, false), []byte("\r"), nil))
	f("bareCR200K", append([]byte("\rx"), sample(200<<10, false)...))
}

func BenchmarkStuffer(b *testing.B) {
	f := func(name string, src []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			var s Stuffer
			for b.Loop() {
				s.Reset()
				for rest := src; ; {
					n, skip, v := s.Scan(rest)
					rest = rest[n+skip:]
					if v == More {
						break
					}
				}
			}
		})
	}
	f("text200K", sample(200<<10, false))
	f("dots200K", sample(200<<10, true))
}

func BenchmarkConvert(b *testing.B) {
	f := func(name string, convert func(dst, src []byte) []byte, src []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			dst := make([]byte, 0, 2*len(src))
			for b.Loop() {
				convert(dst, src)
			}
		})
	}
	f("stuff/text200K", AppendStuffed, sample(200<<10, false))
	f("stuff/dots200K", AppendStuffed, sample(200<<10, true))
	f("unstuff/text200K", AppendUnstuffed, sample(200<<10, false))
	f("unstuff/dots200K", AppendUnstuffed, sample(200<<10, true))
}

func BenchmarkTop(b *testing.B) {
	src := append([]byte("\r\n"), sample(64<<10, false)...)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		top := NewTop(1 << 30)
		top.Take(src)
	}
}
