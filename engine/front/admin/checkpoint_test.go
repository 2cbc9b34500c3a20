package admin

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"postrider/storage"
	"postrider/storage/lsm"
)

// gone waits until a directory is not there.
func gone(t *testing.T, dir string) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s is still there", dir)
		}
	}
}

// Each checkpoint is there until its own client is done with it, or the server ends.
func TestACheckpointGoesWithItsClient(t *testing.T) {
	data := t.TempDir()
	store, err := lsm.Open(lsm.Options{Dir: data, BallastSize: -1, CacheSize: 8 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(data, "admin.sock")
	stop, err := serveAt(socket, store, nil, nil, slog.New(slog.DiscardHandler), func() Status { return Status{} })
	if err != nil {
		t.Fatal(err)
	}
	client, err := Dial(context.Background(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var dirs []string
	var removes []func() error
	for range 3 {
		dir, remove, err := client.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		dirs, removes = append(dirs, filepath.Join(data, dir)), append(removes, remove)
	}
	for _, dir := range dirs {
		if names, err := os.ReadDir(dir); err != nil || len(names) < 3 {
			t.Errorf("%s: %d files, %v", dir, len(names), err)
		}
	}
	if err := removes[1](); err != nil {
		t.Fatal(err)
	}
	gone(t, dirs[1])
	for _, i := range []int{0, 2} {
		if _, err := os.Stat(dirs[i]); err != nil {
			t.Error(err)
		}
	}
	if err := removes[0](); err != nil {
		t.Fatal(err)
	}
	gone(t, dirs[0])
	stop()
	gone(t, dirs[2])
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Checkpoint(); !errors.Is(err, storage.ErrTemporary) {
		t.Errorf("without a server: %v", err)
	}
}

// linkingStore makes a checkpoint when it is told to.
type linkingStore struct {
	storage.Store
	met, goOn chan struct{}
	removed   atomic.Bool
}

func (s *linkingStore) Checkpoint() (string, func() error, error) {
	close(s.met)
	<-s.goOn
	return "checkpoint-1", func() error { s.removed.Store(true); return nil }, nil
}

// The end of the server waits for a checkpoint that is being made, and for its end.
func TestTheEndWaitsForACheckpoint(t *testing.T) {
	s := &linkingStore{met: make(chan struct{}), goOn: make(chan struct{})}
	path := filepath.Join(t.TempDir(), "admin")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	end := Serve(context.Background(), l, s, nil, nil, slog.New(slog.DiscardHandler), func() Status { return Status{} })
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() {
		_, _, err := c.Checkpoint()
		made <- err
	}()
	<-s.met
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		over, cancel := context.WithCancel(context.Background())
		cancel() // what is under way is cut off
		end(over)
	}()
	if err := <-made; err == nil {
		t.Error("the client is not told that the server has ended")
	}
	select {
	case <-stopped:
		t.Fatal("the end did not wait")
	default:
	}
	close(s.goOn)
	<-stopped
	if !s.removed.Load() {
		t.Error("the checkpoint was not removed before the end")
	}
}
