package line

import (
	"bytes"
	"fmt"
	"testing"
)

// slow is the twin of Reader: it has the whole stream, splits it at each LF and
// measures. One entry a line; "!" is a line over the limit.
func slow(stream []byte, limit int) (lines []string) {
	for _, l := range bytes.SplitAfter(stream, []byte("\n")) {
		if !bytes.HasSuffix(l, []byte("\n")) {
			break
		}
		if len(l) > limit {
			lines = append(lines, "!")
			continue
		}
		l = bytes.TrimSuffix(l, []byte("\n"))
		lines = append(lines, fmt.Sprintf("%q", bytes.TrimSuffix(l, []byte("\r"))))
	}
	return lines
}

// fast plays stream through a Reader, cut octets at a time (0: all at once), in
// a buffer that is overwritten between calls.
func fast(t *testing.T, stream []byte, limit, cut int) (lines []string) {
	var r Reader
	var pending []byte
	for len(stream) > 0 || len(pending) > 0 {
		k := len(stream)
		if cut > 0 && cut < k {
			k = cut
		}
		buf := append(pending, stream[:k]...)
		stream = stream[k:]
		for {
			l, n, v := r.Next(buf, limit)
			switch v {
			case Whole:
				lines = append(lines, fmt.Sprintf("%q", l))
			case TooLong:
				lines = append(lines, "!")
			}
			clear(buf[:n])
			buf = buf[n:]
			if v == More {
				break
			}
		}
		if len(buf) >= limit {
			t.Fatalf("%d octets pending with a limit of %d", len(buf), limit)
		}
		pending = bytes.Clone(buf)
		if k == 0 {
			break
		}
	}
	return lines
}

func TestNext(t *testing.T) {
	f := func(stream string, limit int, want ...string) {
		t.Helper()
		for cut := range 8 {
			if got := fast(t, []byte(stream), limit, cut); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q with limit %d cut every %d: got %s, want %s", stream, limit, cut, got, want)
			}
		}
	}
	f("", 10)
	f("NOOP", 10)
	f("NOOP\r", 10)
	f("NOOP\r\n", 10, `"NOOP"`)
	f("NOOP\n", 10, `"NOOP"`)
	f("a\r\r\n\r\n\n", 10, `"a\r"`, `""`, `""`)
	f("a\rb\r\n\x00\r\n", 10, `"a\rb"`, `"\x00"`)
	f("12345678\r\n123456789\r\nok\r\n", 10, `"12345678"`, "!", `"ok"`)
	f("0123456789 QUIT\r\nNOOP\r\n", 10, "!", `"NOOP"`)
	f("0123456789QUIT\nNOOP\n", 10, "!", `"NOOP"`)
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("EHLO a\r\nMAIL FROM:<>\nQUIT\r\n"), 12, 3)
	f.Add([]byte("\r\r\n\n\n0123456789abcdef\nx"), 4, 1)
	f.Fuzz(func(t *testing.T, stream []byte, limit, cut int) {
		limit, cut = limit&63+1, cut&15
		got, want := fast(t, stream, limit, cut), slow(stream, limit)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q with limit %d cut every %d: got %s, want %s", stream, limit, cut, got, want)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	stream := []byte("EHLO mx.example\r\nMAIL FROM:<alice@example.org> SIZE=1000\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		var r Reader
		for rest := stream; len(rest) > 0; {
			_, n, _ := r.Next(rest, 2048)
			rest = rest[n:]
		}
	}
}
