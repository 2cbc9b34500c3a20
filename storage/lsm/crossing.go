package lsm

import (
	"runtime"
	"sync/atomic"
)

// crossing guards the way of a goroutine through Pebble. When the disk has failed
// it may never come back (see faultFS). Then another goroutine takes over what it
// owned, to answer everybody who waits; should it come back all the same, it ends
// without touching anything.
//
// A goroutine of its own for each call into Pebble would need none of this, and
// was tried: handing over a batch and waiting for the answer cost 40 % of the
// deliveries at 20 in flight (26.7k messages a second against 44.2k).
type crossing struct {
	state  atomic.Int32
	broken *atomic.Pointer[error] // Store.failed: set before anybody is abandoned
}

const (
	ashore int32 = iota
	afloat
	abandoned
)

// enter begins a crossing; false when the store has failed and nobody may set out.
func (c *crossing) enter() bool {
	c.state.Store(afloat)
	if c.broken.Load() == nil {
		return true
	}
	c.leave()
	return false
}

// leave ends a crossing. When it was taken too long for, the goroutine ends here.
func (c *crossing) leave() {
	if !c.state.CompareAndSwap(afloat, ashore) {
		runtime.Goexit()
	}
}

// abandon is called once the store has failed: true when the goroutine is on its
// way, and what it owned is the caller's from here on.
func (c *crossing) abandon() bool { return c.state.CompareAndSwap(afloat, abandoned) }
