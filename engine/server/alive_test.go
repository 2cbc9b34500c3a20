package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"postrider/engine/config"
	"postrider/storage"
)

// waiting is a task that holds its loop until it may go on.
type waiting chan struct{}

func (w waiting) Run() { <-w }

// mute is a store that does not answer reads of the queue until it may.
type mute struct {
	storage.Store
	goOn chan struct{}
}

func (m *mute) QueuedEntry(id storage.EntryID) (*storage.QueueEntry, error) {
	<-m.goOn
	return m.Store.QueuedEntry(id)
}

// A server is alive while all loops turn and the store answers; else it says what hangs.
func TestAlive(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *config.Config) { c.Server.Loops = 2 }, nil)
	alive := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		return f.Alive(ctx)
	}
	if err := alive(time.Minute); err != nil {
		t.Fatal(err)
	}
	hold := make(waiting)
	f.group.Loops()[1].Post(hold)
	if err := alive(10 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "event loop 1 does not turn") {
		t.Error(err)
	}
	close(hold)
	if err := alive(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestAliveAsksTheStore(t *testing.T) {
	t.Parallel()
	m := &mute{goOn: make(chan struct{})}
	f := start(t, nil, func(s storage.Store) storage.Store { m.Store = s; return m })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := f.Alive(ctx); err == nil || !strings.Contains(err.Error(), "the store does not answer") {
		t.Error(err)
	}
	close(m.goOn)
	if err := f.Alive(context.Background()); err != nil {
		t.Error(err)
	}
	f.Drain(context.Background())
	if err := f.Alive(context.Background()); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Error(err)
	}
}
