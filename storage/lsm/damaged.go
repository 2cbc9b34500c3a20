package lsm

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"postrider/storage"
)

// damaged are the messages with a body that could not be read to its end once. Open
// refuses them from then on. A long message is sent as it is read, so the first reader
// gets the error in the middle of it; a POP3 client has to close the connection then,
// connects again, and would fail at the same message for ever.
type damaged struct {
	count atomic.Int32 // so that a store without damage takes no lock
	mu    sync.Mutex
	ids   map[storage.MessageID]struct{}
}

// maxDamaged bounds what is remembered; messages beyond it are read as if they were
// whole.
const maxDamaged = 4096

// note remembers a message after a read failed with err, if err means damage.
func (d *damaged) note(id storage.MessageID, err error) {
	if d == nil || !errors.Is(err, storage.ErrCorrupt) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ids) == maxDamaged {
		return
	}
	if d.ids == nil {
		d.ids = make(map[storage.MessageID]struct{})
	}
	d.ids[id] = struct{}{}
	d.count.Store(int32(len(d.ids))) //nolint:gosec // at most maxDamaged
}

// refuse is the error of opening a message that is known to be damaged.
func (d *damaged) refuse(id storage.MessageID) error {
	if d.count.Load() == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.ids[id]; ok {
		return fmt.Errorf("%w: message %s could not be read to its end before", storage.ErrCorrupt, id)
	}
	return nil
}
