package dkim

import (
	"runtime"
	"strings"
	"testing"
)

// Signing keeps the header and a hash: a body of blank lines, of blanks or of text costs the
// same memory at any length.
func TestSigning_Growth(t *testing.T) {
	dir := private(t)
	create(t, dir, "example.org", "e1", 0)
	keys := open(t, dir)
	for what, unit := range map[string]string{"blank lines": "\r\n", "blanks": " \t", "text": "a line\r\n", "blanks in lines": " \r\n"} {
		piece := []byte(strings.Repeat(unit, 16<<10/len(unit)))
		var before uint64
		for _, times := range []int{250, 500, 1000} {
			var a, b runtime.MemStats
			runtime.ReadMemStats(&a)
			s := keys.Begin(keys.For("example.org"))
			s.Append([]byte("From: a@example.org\r\n\r\n"))
			for range times {
				s.Append(piece)
			}
			s.Append([]byte("x\r\n"))
			if _, err := s.Finish(); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&b)
			used := b.TotalAlloc - a.TotalAlloc
			if used > 256<<10 || before > 0 && used > 2*before+64<<10 {
				t.Errorf("%d times 16 KiB of %s: %d octets, half as much %d", times, what, used, before)
			}
			before = used
		}
	}
}

// Invalid or too large headers are not signed, and not kept.
func TestSigning_LargeHeader(t *testing.T) {
	dir := private(t)
	create(t, dir, "example.org", "e1", 0)
	keys := open(t, dir)
	for _, head := range []string{"X: " + strings.Repeat("x", maxHeader) + "\r\n\r\nbody\r\n", strings.Repeat("x:\r\n", maxHeader/3), strings.Repeat("x:\r\n", 3000) + "\r\n"} {
		s := keys.Begin(keys.For("example.org"))
		for len(head) > 0 {
			n := min(len(head), 1000)
			s.Append([]byte(head[:n]))
			head = head[n:]
		}
		if fields, err := s.Finish(); err == nil {
			t.Errorf("signed: %s", fields)
		} else if len(s.header) > maxHeader {
			t.Errorf("%d octets are kept", len(s.header))
		}
	}
	s := keys.Begin(keys.For("example.org"))
	s.Append([]byte("\r\nno header\r\n"))
	if _, err := s.Finish(); err != nil {
		t.Errorf("a message without fields: %v", err)
	}
}
