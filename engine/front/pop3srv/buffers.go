package pop3srv

import (
	"postrider/engine/edge/budget"
	"postrider/storage"
)

// ReadBuffer is what one trip to the pool of readers may bring, and what a session that sends
// messages holds of Memory.Bulk. A client that has asked for longStreak messages in order
// fetches them all, and gets a WideBuffer if the ledger has room for one: most of what a
// message costs beyond its octets is its part of the trip.
const (
	ReadBuffer = storage.MaxPiece
	WideBuffer = 4 * ReadBuffer
	longStreak = 16
)

// buffers are the read buffers of all sessions.
type buffers struct {
	ledger      *budget.Ledger
	usual, wide *budget.Buffers
}

func newBuffers(ledger *budget.Ledger) buffers {
	return buffers{ledger: ledger, usual: budget.NewBuffers(ReadBuffer), wide: budget.NewBuffers(WideBuffer)}
}

// book returns a buffer once there is room for it: nil if w has to wait for that.
func (b *buffers) book(w *budget.Waiter, wide bool) []byte {
	switch {
	case wide && b.ledger.Reserve(WideBuffer):
		return b.wide.Get()
	case b.ledger.Wait(w, ReadBuffer):
		return b.usual.Get()
	}
	return nil
}

// giveBack takes a buffer that book has returned, or that was waited for.
func (b *buffers) giveBack(p []byte) {
	from := b.usual
	if cap(p) == WideBuffer {
		from = b.wide
	}
	from.Put(p)
	b.ledger.Release(int64(from.Size()))
}
