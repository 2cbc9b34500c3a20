//go:build growth

package growth

import (
	"sync/atomic"
	"unsafe"
)

// The compiler puts a counter before each block of statements for
// `go test -covermode=atomic`. Package runtime/coverage does not give them to a test that
// still runs, so they are read where the runtime keeps them, as package
// internal/coverage/cfile does. The build needs -ldflags=-checklinkname=0.

const counts = true

// counters are the coverage counters of one package.
type counters struct {
	first  *atomic.Uint32
	length uint64
}

//go:linkname counterList internal/coverage/cfile.getCovCounterList
func counterList() []counters

// Searched is the number of octets that the functions of overlay/ have looked at.
//
//go:linkname searched internal/bytealg.Searched
var searched uint64

// What the compiler keeps of a function: how many counters it has, two numbers that say
// which function it is, and the counters.
const preamble = 3

func counted() (n uint64) {
	for _, c := range counterList() {
		all := unsafe.Slice(c.first, c.length)
		for i := 0; i < len(all); i++ {
			size := int(all[i].Load())
			if size == 0 {
				continue // a function that was not called
			}
			for j := range size {
				n += uint64(all[i+preamble+j].Load())
			}
			i += preamble + size - 1
		}
	}
	return n + searched/searchedPerStep
}
