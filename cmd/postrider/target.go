package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/engine/admin"
	"postrider/engine/config"
	"postrider/engine/router"
	"postrider/engine/useragent"
	"postrider/storage"
	"postrider/storage/lsm"
)

// target is the flags that say which store a command is about.
type target struct{ file, data string }

// flags adds --config and --data to cmd.
func (t *target) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&t.file, "config", "", "configuration file (TOML)")
	cmd.Flags().StringVar(&t.data, "data", "", "data directory (default: server.data of the configuration)")
	return cmd
}

// config reads the configuration.
func (t *target) config() (*config.Config, error) {
	cfg, err := config.Load(t.file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, exit(exNoPerm, err)
	}
	if err != nil {
		return nil, exit(exConfig, err)
	}
	if t.data != "" {
		cfg.Server.Data = t.data
	}
	return cfg, exit(exConfig, cfg.Check())
}

func socketOf(cfg *config.Config) string { return filepath.Join(cfg.Server.Data, "admin.sock") }

// mayCreate says whether a command may begin a store that is not there.
type mayCreate bool

const (
	mustExist mayCreate = false
	create    mayCreate = true
)

// desk is what a command works at: the store, its own or the server's, and names
// resolved as the server does.
type desk struct {
	admin.Store
	cfg    *config.Config
	router *router.Router
}

// with calls f at the store: that of the running server if one answers, else the
// one that is opened for the time of the call.
func (t *target) with(ctx context.Context, c mayCreate, f func(*desk) error) error {
	cfg, err := t.config()
	if err != nil {
		return err
	}
	d, err := t.desk(ctx, cfg, c)
	if err != nil {
		return err
	}
	err = f(d)
	return errors.Join(err, exit(exIO, d.Close()))
}

// desk opens the store of cfg: see with.
func (t *target) desk(ctx context.Context, cfg *config.Config, c mayCreate) (*desk, error) {
	store, err := open(ctx, cfg, c)
	if err != nil {
		return nil, err
	}
	return &desk{store, cfg, router.New(store, cfg.RouterSettings())}, nil
}

// errNoStore: the data directory is not there.
var errNoStore = errors.New("there is no store")

// open finds the store of cfg.
func open(ctx context.Context, cfg *config.Config, c mayCreate) (admin.Store, error) {
	client, err := runningServer(ctx, cfg)
	if client != nil || err != nil {
		return client, err
	}
	if _, err := os.Stat(cfg.Server.Data); c == mustExist && errors.Is(err, fs.ErrNotExist) {
		return nil, exit(exUnavailable, fmt.Errorf("%w in %s: give its directory with --data, or make one with \"postrider account add\" or \"postrider serve\"", errNoStore, cfg.Server.Data))
	}
	if err := becomeServer(cfg); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := openStore(cfg, log, nil)
	for until := time.Now().Add(lockPatience); errors.Is(err, lsm.ErrLocked) && time.Now().Before(until) && ctx.Err() == nil; {
		// A server that starts has the store before it has its socket; one that stops, or
		// another command, gives the store back.
		wait(ctx, 20*time.Millisecond)
		if client, err := runningServer(ctx, cfg); client != nil || err != nil {
			return client, err
		}
		store, err = openStore(cfg, log, nil)
	}
	if err != nil {
		return nil, err
	}
	for _, d := range cfg.Server.Domains {
		if err := store.AddDomain(d); err != nil && !errors.Is(err, storage.ErrExists) {
			return nil, exit(exIO, errors.Join(fmt.Errorf("domain %s: %w", d, err), store.Close()))
		}
	}
	return store, nil
}

// lockPatience is how long a command waits for a store that another process has open and
// that no server answers for: a start after a crash takes some seconds.
var lockPatience = 20 * time.Second

// runningServer finds the running server; nil without an error: there is none.
func runningServer(ctx context.Context, cfg *config.Config) (admin.Store, error) {
	client, err := admin.Dial(ctx, socketOf(cfg))
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, exit(exNoPerm, fmt.Errorf("%s can be used by root and by the user that runs the server only: run the command as one of them (%w)", cfg.Server.Data, err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil
	}
	return nil, exit(exUnavailable, fmt.Errorf("the running server can't be asked: %w", err))
}

// account finds the account that the operator named.
func (d *desk) account(name string) (storage.Account, error) {
	local, domain, err := d.name(name)
	if err != nil {
		return storage.Account{}, err
	}
	a, err := d.router.Account([]byte(local), []byte(domain))
	if errors.Is(err, storage.ErrNotFound) {
		if _, err := d.Lookup(local, domain); err == nil {
			return a, exit(exNoUser, fmt.Errorf("%s is an alias, not an account (see \"postrider alias list\")", router.Mailbox(local, domain)))
		}
		return a, exit(exNoUser, fmt.Errorf("there is no account %s (see \"postrider account list\")", router.Mailbox(local, domain)))
	}
	return a, err
}

// name reads NAME or NAME@DOMAIN.
func (d *desk) name(text string) (local, domain string, err error) {
	local, domain, err = router.ParseAddress(text, d.cfg.DefaultDomain())
	if err == nil && local == "" {
		err = fmt.Errorf("%q has no name before the @", text)
	}
	return local, domain, exit(exUsage, err)
}

// mailbox is an account's address as text.
func mailbox(a storage.Account) string { return router.Mailbox(a.Name, a.Domain) }

// printJSON writes v, indented. What others have written can't command a terminal that
// shows it later: see useragent.AppendJSON.
func printJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(useragent.AppendJSON(nil, append(text, '\n')))
	return err
}

// atLeast and exactly check the number of arguments, in the words of the command.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return exit(exUsage, fmt.Errorf("arguments are missing: %s", cmd.UseLine()))
		}
		return nil
	}
}

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return exit(exUsage, fmt.Errorf("%d arguments are wanted and %d are there: %s", n, len(args), cmd.UseLine()))
		}
		return nil
	}
}
