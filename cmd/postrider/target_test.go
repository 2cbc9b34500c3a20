package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/engine/admin"
	"postrider/storage/lsm"
)

// A command that comes while a server starts, which has the store and no socket yet, waits
// for the socket; one that comes while another process stops waits for the store.
func TestACommandWaitsForAServerThatStarts(t *testing.T) {
	s := newShell(t)
	dir := filepath.Join(s.dir, "data")
	hold := func() *lsm.Store {
		t.Helper()
		store, err := lsm.Open(lsm.Options{Dir: dir, Log: slog.New(slog.DiscardHandler), CacheSize: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	// run runs a command and calls then when it waits for the store.
	run := func(line string, then func()) (out string, code int) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			out, code = s.run("secret of somebody\n", line)
		}()
		select {
		case <-done:
			t.Errorf("%s did not wait: %d %s", line, code, out)
		case <-time.After(200 * time.Millisecond):
		}
		then()
		<-done
		return out, code
	}

	store := hold()
	if err := store.AddDomain("a.example"); err != nil {
		t.Fatal(err)
	}
	var stop func()
	if out, code := run("account add alice@a.example --password-stdin", func() {
		var err error
		if stop, err = admin.Serve(context.Background(), filepath.Join(dir, "admin.sock"), store, nil, func() admin.Status { return admin.Status{} }); err != nil {
			t.Fatal(err)
		}
	}); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	stop()
	if _, err := store.Lookup("alice", "a.example"); err != nil {
		t.Errorf("the server's store has no account: %v", err)
	}
	if out, code := run("account add bob@a.example --password-stdin", func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	s.want(0, "", "account list", "alice", "bob")

	before := lockPatience
	defer func() { lockPatience = before }()
	lockPatience = 100 * time.Millisecond
	store = hold()
	defer store.Close()
	if out, code := s.run("", "account list"); code != exUnavailable || !strings.Contains(out, "is a postrider running on it?") {
		t.Errorf("%d: %s", code, out)
	}
}
