package workspace

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestParseAge(t *testing.T) {
	f := func(in string, want time.Duration) {
		t.Helper()
		if got, err := ParseAge(in); got != want || err != nil {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	f("5d", 120*time.Hour)
	f("1.5d", 36*time.Hour)
	f("1h30m", 90*time.Minute)
	f("36500d", 36500*24*time.Hour)
	for _, bad := range []string{"", "d", "-1d", "-1h", "5", "5 d", "NaNd", "Infd", "1e9d", "36501d", "107000d", "10000000h"} {
		if got, err := ParseAge(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// Words come up to the end of the input, or to the first error, of f or of the input.
func TestReadWords(t *testing.T) {
	var got []string
	add := func(word string) error { got = append(got, word); return nil }
	if err := ReadWords(strings.NewReader(" one\ttwo\r\n\nthree"), add); err != nil || !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("%q, %v", got, err)
	}
	stop := errors.New("enough")
	if err := ReadWords(strings.NewReader("one two"), func(string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if err := ReadWords(io.MultiReader(strings.NewReader("one "), iotest.ErrReader(io.ErrUnexpectedEOF)), add); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// A list without anything is [] in JSON, also within an object.
func TestPrintJSON_EmptyLists(t *testing.T) {
	f := func(v any, want string) {
		t.Helper()
		var b strings.Builder
		if err := PrintJSON(&b, v); err != nil || b.String() != want {
			t.Errorf("%#v: %q, %v", v, b.String(), err)
		}
	}
	f([]string(nil), "[]\n")
	f([]struct{ A int }(nil), "[]\n")
	f(map[string]any{"a": []int(nil), "b": 1}, "{\n  \"a\": [],\n  \"b\": 1\n}\n")
	f([]int{1}, "[\n  1\n]\n")
}
