// Package growth is for tests: what does work cost on input of one size, of twice and of
// four times that? Each parser and check that reads what a peer has written has a test
// TestX_Growth, with the worst input that is known for it.
//
// Nothing is timed. Three things are counted, and none of them may do more than double
// when the input doubles:
//
//   - allocations, and the octets that they take;
//   - octets that come from a reader of the test (see Reader), if the test has one;
//   - statements that were run, and octets that package bytes and package strings have
//     searched. They are counted when the test was built for that, as
//     `bash .ci/run growth` does: the coverage counters of the compiler count
//     statements, in our packages and in libraries that read for us, and two
//     files in place of the library's assembler count what is searched. See counted.go.
//
// Without that build the tests count allocations only, so that `go test` of a package
// takes no longer.
package growth

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// cost is what one call has used.
type cost struct {
	allocations, octets, work uint64
}

// What small calls may differ by without a rule in it.
const (
	someAllocations = 64
	someOctets      = 16 << 10
	someWork        = 4000
)

// searchedPerStep is how many searched octets count as one statement.
const searchedPerStep = 8

// rounds is how often each size is measured. The least counts: a collection of garbage,
// and what other goroutines do, only add.
const rounds = 3

// Linear runs what begin returns, for inputs of n, 2n and 4n. begin makes the input,
// which does not count. Work and allocations of each doubling may be 2.5 times as much at
// most, and 5 times for four times the input. Octets of memory may be 3.5 and 7 times as
// much: append doubles small slices and lets large ones grow by a quarter, and all the
// slices that it has dropped count.
func Linear(t *testing.T, what string, n int, begin func(n int) func()) {
	t.Helper()
	if testing.Short() {
		t.Skip("growth is counted in the usual run of the tests, and by .ci/run growth")
	}
	var all [3]cost
	for i := range all {
		all[i] = measure(n<<i, begin)
	}
	for _, wrong := range tooMuch(all) {
		t.Errorf("%.100s, size %d: %s", what, n, wrong)
	}
}

// tooMuch says what has grown faster than the input, of the costs of n, 2n and 4n.
func tooMuch(all [3]cost) (wrong []string) {
	for i, smaller := range [3]int{0, 0, 1} {
		more := uint64(i - smaller) // doublings
		if more == 0 {
			continue
		}
		before, got := all[smaller], all[i]
		for _, c := range []struct {
			name       string
			got, limit uint64
		}{
			{"allocations", got.allocations, before.allocations*5*more/2 + someAllocations},
			{"octets of memory", got.octets, before.octets*7*more/2 + someOctets},
			{"steps of work", got.work, before.work*5*more/2 + someWork},
		} {
			if c.got > c.limit {
				wrong = append(wrong, fmt.Sprintf("%d %s for %d times the input, where %d are the most", c.got, c.name, 1<<i, c.limit))
			}
		}
	}
	return wrong
}

// measure is what one call on an input of size n costs.
func measure(n int, begin func(n int) func()) cost {
	begin(n)() // tables that are made at the first use
	var least cost
	for i := range rounds {
		f := begin(n)
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		steps := work()
		f()
		steps = work() - steps
		runtime.ReadMemStats(&b)
		c := cost{b.Mallocs - a.Mallocs, b.TotalAlloc - a.TotalAlloc, steps}
		if i == 0 {
			least = c
			continue
		}
		least = cost{min(least.allocations, c.allocations), min(least.octets, c.octets), min(least.work, c.work)}
	}
	return least
}

// Repeat is a text of n octets at least: unit again and again.
func Repeat(unit string, n int) string { return strings.Repeat(unit, n/len(unit)+1) }

// Reader gives text, and counts each octet as work.
func Reader(text string) io.Reader { return &reader{in: strings.NewReader(text)} }

type reader struct{ in *strings.Reader }

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	given += uint64(n)
	return n, err
}

// given is how many octets all Readers have given.
var given uint64

func work() uint64 { return given + counted() }
