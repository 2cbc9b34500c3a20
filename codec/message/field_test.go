package message

import (
	"strings"
	"testing"
)

func TestNext(t *testing.T) {
	text := []byte("A: 1\r\n 2\r\nb : \nC:\r\n\r\nbody: x\r\n")
	var got strings.Builder
	f, rest, ok := Next(text)
	for ; ok; f, rest, ok = Next(rest) {
		got.WriteString(string(f.Name) + "=" + string(f.Unfolded()) + ";")
	}
	if got.String() != "A=1 2;b=;C=;" || string(rest) != "body: x\r\n" {
		t.Errorf("fields %q, body %q", got.String(), rest)
	}
	if f, ok := Find(text, "c"); !ok || string(f.Name) != "C" {
		t.Errorf("Find: %v %v", f, ok)
	}
	if _, ok := Find(text, "body"); ok {
		t.Error("Find looks into the body")
	}
	if _, rest, ok := Next([]byte("just text\n")); ok || string(rest) != "just text\n" {
		t.Errorf("text without a header: %q", rest)
	}
}

// Next and Head agree on where the header ends when there is no stuffed dot.
func FuzzNext(f *testing.F) {
	f.Add("A: 1\r\n 2\r\n\r\nbody")
	f.Add("A: 1\r\n\rx")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, ".") || strings.Contains(text, "\n.") || !strings.HasSuffix(text, "\n") {
			return
		}
		fields, rest := 0, []byte(text)
		for {
			_, after, ok := Next(rest)
			rest = after
			if !ok {
				break
			}
			fields++
		}
		var h Head
		h.Feed([]byte(text))
		if want := int64(len(text) - len(rest)); h.Octets() != want {
			t.Fatalf("%q: %d octets by Head, %d by Next", text, h.Octets(), want)
		}
	})
}

func TestAddress(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		if got := Address([]byte(value)); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	f("Alice <alice@example.com>", "alice@example.com")
	f("\"A, B\" <a@b>, c@d", "a@b")
	f("jsmith", "jsmith")
	f("broken, name <x@y>", "x@y")
	f("", "")
}
