package workspace

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/storage/lsm"
)

// A command that comes while a server starts, which has the store and no socket yet, waits
// for the socket; one that comes while another process stops waits for the store.
func TestACommandWaitsForAServerThatStarts(t *testing.T) {
	cfg := config.Default()
	cfg.Server.Data, cfg.Storage.Ballast, cfg.Storage.Cache = filepath.Join(t.TempDir(), "data"), 0, 8<<20
	hold := func() *lsm.Store {
		t.Helper()
		store, err := lsm.Open(lsm.Options{Dir: cfg.Server.Data, Log: slog.New(slog.DiscardHandler), CacheSize: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	// opened opens the store and calls then when it waits for it.
	opened := func(then func()) admin.Store {
		t.Helper()
		var store admin.Store
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			store, err = new(Target).open(t.Context(), cfg, MustExist)
		}()
		select {
		case <-done:
			t.Errorf("it did not wait: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		then()
		<-done
		if err != nil {
			t.Fatal(err)
		}
		return store
	}

	server := hold()
	var stop func(context.Context)
	store := opened(func() {
		l, err := admin.Listen(AdminSocket(cfg))
		if err != nil {
			t.Fatal(err)
		}
		stop = admin.Serve(t.Context(), l, server, nil, nil, slog.New(slog.DiscardHandler), func() admin.Status { return admin.Status{} })
	})
	if _, ok := store.(*admin.Client); !ok {
		t.Errorf("the command works at a %T", store)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	stop(t.Context())
	store = opened(func() {
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if _, ok := store.(*lsm.Store); !ok {
		t.Errorf("the command works at a %T", store)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}

	before := lockPatience
	defer func() { lockPatience = before }()
	lockPatience = 100 * time.Millisecond
	server = hold()
	defer server.Close()
	if _, err := new(Target).open(t.Context(), cfg, MustExist); ExitCode(err) != sysexits.Unavailable || !strings.Contains(err.Error(), "is a postrider running on it?") {
		t.Errorf("%v", err)
	}
}
