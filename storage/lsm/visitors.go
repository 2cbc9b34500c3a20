package lsm

import (
	"context"
	"sync"

	"postrider/storage"
)

// visitors are calls that read much of the store on the goroutines of their callers: Close
// waits until they have ended, and they end early by untilClosing.
type visitors struct {
	mu   sync.Mutex
	n    int
	shut chan struct{} // closed when the last one has left; nil: the store is open
}

// enter begins a call; storage.ErrClosed: the store is closed or is being closed.
func (v *visitors) enter() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shut != nil {
		return storage.ErrClosed
	}
	v.n++
	return nil
}

// leave ends a call.
func (v *visitors) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.n--; v.n == 0 && v.shut != nil {
		close(v.shut)
	}
}

// end lets no call begin any more, and waits for the end of the calls under way.
func (v *visitors) end() {
	v.mu.Lock()
	shut := make(chan struct{})
	if v.shut = shut; v.n == 0 {
		close(shut)
	}
	v.mu.Unlock()
	<-shut
}

// untilClosing is ctx for a visitor: it ends too, with storage.ErrClosed as its cause, when
// the store is being closed.
func (s *Store) untilClosing(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.closing:
			cancel(storage.ErrClosed)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
