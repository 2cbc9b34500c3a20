package lsm

import (
	"sync/atomic"
	"time"

	"postrider/storage"
)

// A message id is 42 bits of milliseconds since 1970 (good until the year 2109),
// 6 bits of node (0 here; for stores of several machines) and 16 bits that count
// within the millisecond. 65,536 ids a millisecond are more than any disk takes:
// past them the count runs on in the next millisecond.
const (
	idCountBits = 16
	idNodeBits  = 6
	idTimeShift = idCountBits + idNodeBits
	idCountMask = 1<<idCountBits - 1
)

// idReserve is how far ahead of the newest id the bound in the X row is put:
// 10 s. It costs one small row every 10 s of mail.
const idReserve = 10_000 << idTimeShift

// idSource gives out ids. No id is given twice, whatever the clock does, in this
// process or the next:
//
//   - within a process each id is above the one before;
//   - the batch that first stores a row under an id at or above the bound also
//     moves the bound (see committer.reserve), so that on the disk no row has an
//     id above the bound;
//   - a process begins at the bound that it finds.
//
// After a restart ids may therefore be up to 10 s ahead of the clock. A draft
// that never got a row and that no client knows of may lose its id to another.
type idSource struct {
	last atomic.Uint64
	now  func() time.Time
}

// next returns the next id. Never blocks.
func (s *idSource) next() storage.MessageID {
	at := uint64(s.now().UnixMilli()) << idTimeShift
	for {
		last := s.last.Load()
		id := max(at, following(last))
		if s.last.CompareAndSwap(last, id) {
			return storage.MessageID(id)
		}
	}
}

// TimeOf is about when a message came: what its id has of the time. After a restart ids may
// be up to 10 s ahead.
func TimeOf(id storage.MessageID) time.Time { return time.UnixMilli(int64(id >> idTimeShift)) } //nolint:gosec // 42 bits

// following is the id after last that has the node bits of last.
func following(last uint64) uint64 {
	if last&idCountMask != idCountMask {
		return last + 1
	}
	return (last>>idTimeShift + 1) << idTimeShift
}
