package lsm

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"postrider/storage"
	"postrider/storage/storetest"
)

// gate holds up what links or writes a file of a checkpoint until it is opened.
type gate struct {
	met, open chan struct{}
	once      sync.Once
}

func (g *gate) MaybeError(op errorfs.Op) error {
	if strings.Contains(op.Path, checkpointPrefix) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		g.once.Do(func() { close(g.met) })
		<-g.open
	}
	return nil
}

func (g *gate) String() string { return "gate" }

// A store that is closed while a checkpoint is made waits for it, and closes without a
// fault; later calls are refused, and nothing of the directory of another process is removed.
func TestCloseWaitsForACheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	g := &gate{met: make(chan struct{}), open: make(chan struct{})}
	s := openOn(t, errorfs.Wrap(mem, g))
	if _, err := storetest.Deliver(s, storetest.Body(100, "x"), accountIn(t, s, "alice")); err != nil {
		t.Fatal(err)
	}
	type made struct {
		dir    string
		remove func() error
		err    error
	}
	making, closing := make(chan made), make(chan error)
	go func() {
		dir, remove, err := s.Checkpoint()
		making <- made{dir, remove, err}
	}()
	<-g.met
	go func() { closing <- s.Close() }()
	<-s.closing
	if _, _, err := s.Checkpoint(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a second one: %v", err)
	}
	select {
	case err := <-closing:
		t.Fatalf("Close did not wait: %v", err)
	default:
	}
	close(g.open)
	c := <-making
	if c.err != nil {
		t.Fatalf("the checkpoint: %v", c.err)
	}
	if err := <-closing; err != nil {
		t.Fatalf("Close: %v", err)
	}
	if s.readPanicked.Load() {
		t.Error("a read panicked")
	}
	path := mem.PathJoin("data", c.dir)
	before, err := mem.List(path)
	if err != nil || len(before) == 0 {
		t.Fatalf("%q, %v", before, err)
	}
	if err := c.remove(); err != nil {
		t.Error(err)
	}
	if after, err := mem.List(path); err != nil || len(after) != len(before) {
		t.Errorf("after the store was closed, remove took %d of %d files (%v)", len(before)-len(after), len(before), err)
	}
	s = openOn(t, mem)
	if _, err := mem.Stat(path); err == nil {
		t.Error("a start leaves it")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A check that runs ends when the store is closed; a check and a view of a closed store are
// refused as such, and not as damage.
func TestCloseEndsACheck(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	alice := accountIn(t, s, "alice")
	for range 50 {
		if _, err := storetest.Deliver(s, storetest.Body(100, "x"), alice); err != nil {
			t.Fatal(err)
		}
	}
	// A fault, at which the check is held until the store is being closed.
	if err := s.db.Set([]byte{tagDoomed + 0, 0, 0, 0, 99}, nil, s.sync); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(domainKey("broken.example"), []byte{77}, s.sync); err != nil {
		t.Fatal(err)
	}
	met, closing := make(chan struct{}), make(chan error)
	go func() {
		<-met
		closing <- s.Close()
	}()
	_, err := s.Check(context.Background(), func(storage.Fault) {
		select {
		case <-met:
		default:
			close(met)
		}
		<-s.closing
	})
	if !errors.Is(err, storage.ErrClosed) {
		t.Errorf("the check ended with %v", err)
	}
	if err := <-closing; err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := s.Check(context.Background(), func(storage.Fault) {}); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a check of a closed store: %v", err)
	}
	if err := s.Accounts(func(storage.Account) bool { return true }); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("accounts of a closed store: %v", err)
	}
}
