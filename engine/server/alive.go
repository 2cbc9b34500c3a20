package server

import (
	"context"
	"errors"
	"fmt"

	"postrider/storage"
)

// turned is a task by which a loop shows that it turns.
type turned struct {
	loop int
	to   chan<- int // has room
}

// Run is called on the loop's goroutine.
func (t turned) Run() { t.to <- t.loop }

// Alive waits until every loop has turned and the store has answered a read; at the end of
// ctx it returns what has not. It is for a watchdog, which starts the process again: a store
// that answers with an error (a full disk) is alive, since a new process would find the
// same. Healthy reports such errors.
func (srv *Server) Alive(ctx context.Context) error {
	loops := srv.group.Loops()
	turns, read := make(chan int, len(loops)), make(chan struct{})
	silent := make(map[int]bool, len(loops))
	for i, l := range loops {
		if !l.Post(turned{i, turns}) {
			return fmt.Errorf("event loop %d has ended", i)
		}
		silent[i] = true
	}
	go func() {
		defer close(read)
		_, _ = srv.store.QueuedEntry(storage.EntryID{Message: 1}) // any answer is one
	}()
	for len(silent) > 0 || read != nil {
		select {
		case i := <-turns:
			delete(silent, i)
		case <-read:
			read = nil
		case <-ctx.Done():
			var stuck []error
			for i := range silent {
				stuck = append(stuck, fmt.Errorf("event loop %d does not turn", i))
			}
			if read != nil {
				stuck = append(stuck, errors.New("the store does not answer"))
			}
			return errors.Join(stuck...)
		}
	}
	return nil
}
