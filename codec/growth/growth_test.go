package growth

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// What grows with the square of the input is found in each count; what grows as the input
// does is not.
func TestTooMuch(t *testing.T) {
	of := func(f func(n uint64) cost) []string { return tooMuch([3]cost{f(1), f(2), f(4)}) }
	for what, f := range map[string]func(n uint64) cost{
		"nothing":         func(uint64) cost { return cost{} },
		"as the input":    func(n uint64) cost { return cost{1000 * n, 1e6 * n, 1e6 * n} },
		"more than it":    func(n uint64) cost { return cost{1000 * n, 3e6 * n * n / (n + 1), 1e6*n + 1e4*n*n} },
		"small and fixed": func(n uint64) cost { return cost{10 * n * n, 1000 * n * n, 100 * n * n} },
	} {
		if wrong := of(f); wrong != nil {
			t.Errorf("%s: %q", what, wrong)
		}
	}
	for want, f := range map[string]func(n uint64) cost{
		"allocations":   func(n uint64) cost { return cost{allocations: 100 * n * n} },
		"octets":        func(n uint64) cost { return cost{octets: 1e5 * n * n} },
		"steps of work": func(n uint64) cost { return cost{work: 1e5 * n * n} },
	} {
		if wrong := of(f); len(wrong) == 0 || !strings.Contains(wrong[0], want) {
			t.Errorf("the square in %s: %q", want, wrong)
		}
	}
}

// What a test counts is what it has done: memory and octets of a Reader in each build,
// statements and searched octets in the build for them.
func TestMeasure_Growth(t *testing.T) {
	var kept []byte
	got := measure(100_000, func(n int) func() { return func() { kept = make([]byte, n) } })
	if got.octets < 100_000 || got.octets > 200_000 || got.allocations == 0 || len(kept) != 100_000 {
		t.Errorf("100,000 octets of memory are %+v", got)
	}
	got = measure(100_000, func(n int) func() {
		in := Reader(Repeat("x", n))
		return func() { _, _ = io.Copy(io.Discard, in) }
	})
	if got.work < 100_000 {
		t.Errorf("100,000 octets of a Reader are %+v", got)
	}
	if !counts {
		return
	}
	got = measure(100_000, func(n int) func() {
		text := bytes.Repeat([]byte("x"), n)
		return func() { bytes.Map(func(r rune) rune { return r }, text) } // a loop in a package that is counted
	})
	if got.work < 100_000 || got.work > 1_000_000 {
		t.Errorf("100,000 turns of a loop are %+v", got)
	}
	got = measure(100_000, func(n int) func() {
		text := bytes.Repeat([]byte("x"), searchedPerStep*n)
		return func() { bytes.IndexByte(text, 'y') }
	})
	if got.work < 100_000 || got.work > 200_000 {
		t.Errorf("800,000 octets that were searched are %+v", got)
	}
}
