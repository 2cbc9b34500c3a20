package dot

import (
	"bytes"
	"testing"
)

func mend(stored string, cut int) string {
	var m Mender
	var got []byte
	for piece := range bytesChunks([]byte(stored), cut) {
		got = m.Append(got, bytes.Clone(piece))
	}
	return string(m.End(got))
}

func TestMender(t *testing.T) {
	f := func(stored, want string) {
		t.Helper()
		for cut := 1; cut <= max(1, len(stored)); cut++ {
			if got := mend(stored, cut); got != want {
				t.Errorf("%q, cut %d: got %q, want %q", stored, cut, got, want)
			}
		}
	}
	f("", "")
	f("a\r\n..b\r\n", "a\r\n..b\r\n")
	f("a\r\n.b\r\n", "a\r\nb\r\n")
	f("a\n.\r\n+OK\r\n", "a\r\n..\r\n+OK\r\n")
	f("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n")
	f("a\r\n.", "a\r\n..\r\n")
	f("a\rb\r\n", "ab\r\n")
	f("a\r\n\r.b", "a\r\n..b\r\n")
}

// FuzzMender: whatever was stored, what leaves is wire form; wire form stays as it is.
func FuzzMender(f *testing.F) {
	for _, s := range edges {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, stored string, cut int) {
		got := mend(stored, 1+(cut&7))
		if !isWireForm(got) {
			t.Fatalf("%q became %q", stored, got)
		}
		if whole := mend(stored, max(1, len(stored))); whole != got {
			t.Fatalf("%q: whole %q, cut %q", stored, whole, got)
		}
		if again := mend(got, 1+(cut&3)); again != got {
			t.Fatalf("%q became %q and then %q", stored, got, again)
		}
	})
}
