package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/front/admin"
	"postrider/engine/mail/router"
	"postrider/storage"
	"postrider/storage/lsm"
)

// Workspace is what a command works at: the store, its own or the server's, and names
// resolved as the server does.
type Workspace struct {
	admin.Store
	Config *config.Config
	Router *router.Router
}

// Running is the running server, if the store is that of one; nil: the command has
// opened the store itself.
func (ws *Workspace) Running() *admin.Client {
	server, _ := ws.Store.(*admin.Client)
	return server
}

// Open opens the store of cfg: see With. The caller closes it.
func (t *Target) Open(ctx context.Context, cfg *config.Config, c MayCreate) (*Workspace, error) {
	store, err := t.open(ctx, cfg, c)
	if err != nil {
		return nil, err
	}
	if server, ok := store.(*admin.Client); ok {
		if cfg, err = runningConfig(ctx, server, cfg); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return New(store, cfg), nil
}

// runningConfig is the configuration that a server runs by. The file may be another one,
// or may have changed. cfg is used where the server can't tell.
func runningConfig(ctx context.Context, server *admin.Client, cfg *config.Config) (*config.Config, error) {
	set, err := server.Settings(ctx)
	if err != nil || len(set.Values) == 0 {
		return cfg, err
	}
	running, err := config.Running(set.Values, set.Dir)
	if err != nil {
		return nil, sysexits.Unavailable.With(fmt.Errorf("the settings of the running server can't be read: is it another version? Restart it (%w)", err))
	}
	running.Server.Data = cfg.Server.Data
	return running, nil
}

// New is a workspace at a store that is open.
func New(store admin.Store, cfg *config.Config) *Workspace {
	return &Workspace{store, cfg, router.New(store, cfg.RouterSettings())}
}

// open finds the store of cfg.
func (t *Target) open(ctx context.Context, cfg *config.Config, c MayCreate) (admin.Store, error) {
	client, err := runningServer(ctx, cfg)
	if client != nil || err != nil {
		return client, err
	}
	if err := t.mayOpen(cfg, c); err != nil {
		return nil, err
	}
	if err := BecomeServer(cfg); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := OpenStore(cfg, log, nil)
	for until := time.Now().Add(lockPatience); errors.Is(err, lsm.ErrLocked) && time.Now().Before(until) && ctx.Err() == nil; {
		// A server that starts has the store before it has its socket; one that stops, or
		// another command, gives the store back.
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
		if client, err := runningServer(ctx, cfg); client != nil || err != nil {
			return client, err
		}
		store, err = OpenStore(cfg, log, nil)
	}
	if err != nil {
		return nil, err
	}
	for _, d := range cfg.Server.Domains {
		if err := store.AddDomain(d); err != nil && !errors.Is(err, storage.ErrExists) {
			return nil, sysexits.IOErr.With(errors.Join(fmt.Errorf("domain %s: %w", d, err), store.Close()))
		}
	}
	return store, nil
}

// mayOpen reports why a command may not open the store: there is none yet, and only
// "serve" and --create make one.
func (t *Target) mayOpen(cfg *config.Config, c MayCreate) error {
	if c == Create && t.create {
		return nil
	}
	exists, err := lsm.Exists(cfg.Server.Data)
	if errors.Is(err, fs.ErrPermission) {
		return sysexits.NoPerm.With(fmt.Errorf("%s can be used only by root and the server's user: run the command as one of them (%w)", cfg.Server.Data, err))
	}
	if err == nil && !exists {
		return noStore(cfg, c == Create && t.offers)
	}
	return sysexits.Unavailable.With(err)
}

// lockPatience is how long a command waits for a store that another process has open while
// no server answers: a start after a crash takes some seconds.
var lockPatience = 20 * time.Second

// runningServer finds the running server; nil without an error: there is none.
func runningServer(ctx context.Context, cfg *config.Config) (admin.Store, error) {
	client, err := admin.Dial(ctx, AdminSocket(cfg))
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, sysexits.NoPerm.With(fmt.Errorf("%s can be used only by root and the server's user: run the command as one of them (%w)", cfg.Server.Data, err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil
	}
	return nil, sysexits.Unavailable.With(fmt.Errorf("can't connect to the running server: %w", err))
}

// AccountNamed finds an account by its name.
func (ws *Workspace) AccountNamed(name string) (storage.Account, error) {
	local, domain, err := ws.ParseName(name)
	if err != nil {
		return storage.Account{}, err
	}
	a, err := ws.Router.Account([]byte(local), []byte(domain))
	if errors.Is(err, storage.ErrNotFound) {
		if _, err := ws.Lookup(local, domain); err == nil {
			return a, sysexits.NoUser.With(fmt.Errorf("%s is an alias, not an account (see \"postrider alias list\")", router.Mailbox(local, domain)))
		}
		return a, sysexits.NoUser.With(fmt.Errorf("no account %s (see \"postrider account list\")", router.Mailbox(local, domain)))
	}
	return a, err
}

// ParseName reads NAME or NAME@DOMAIN. In a domain alias it is the name in the domain that
// the alias leads to.
func (ws *Workspace) ParseName(text string) (local, domain string, err error) {
	if local, domain, err = ParseName(text, ws.Config.DefaultDomain()); err == nil {
		domain = cmp.Or(ws.DomainAlias(domain), domain)
	}
	return local, domain, err
}

// ParseName reads NAME or NAME@DOMAIN, and does not look for domain aliases.
func ParseName(text, defaultDomain string) (local, domain string, err error) {
	local, domain, err = router.ParseAddress(text, defaultDomain)
	if err == nil && local == "" {
		err = fmt.Errorf("%q has no name before the @", text)
	}
	return local, domain, sysexits.Usage.With(err)
}

// Mailbox is an account's address as text.
func Mailbox(a storage.Account) string { return router.Mailbox(a.Name, a.Domain) }

// OpenStore opens the embedded store with the configured settings.
func OpenStore(cfg *config.Config, log *slog.Logger, failed func(error)) (storage.Store, error) {
	store, err := lsm.Open(lsm.Options{
		Dir: cfg.Server.Data, Log: log, Failed: failed,
		CacheSize: cfg.Storage.Cache, MemTableSize: uint64(cfg.Storage.Memtable),
		FreeFloor: cfg.Storage.FreeFloor, BallastSize: noneIfZero(cfg.Storage.Ballast),
		MaxOpenFiles: cfg.Process.StoreFiles,
		Retention:    cfg.Retention(),
		Durability:   lsm.Durability(cfg.Storage.Durability), Compression: string(cfg.Storage.Compression),
	})
	if errors.Is(err, storage.ErrCorrupt) {
		return nil, sysexits.DataErr.With(err)
	}
	if errors.Is(err, lsm.ErrLocked) {
		if pid := lockHolder(filepath.Join(cfg.Server.Data, "LOCK")); pid > 0 {
			err = fmt.Errorf("%w; %s has it", err, Process(pid))
		}
	}
	if err != nil {
		return nil, sysexits.Unavailable.With(err)
	}
	return store, nil
}

// noneIfZero turns the configuration's "0: none" into the store's.
func noneIfZero(n int64) int64 {
	if n == 0 {
		return -1
	}
	return n
}

// Server is the server that runs on the data directory of cfg, and the configuration that
// it runs by; nil: none runs. The caller closes it.
func Server(ctx context.Context, cfg *config.Config) (*admin.Client, *config.Config, error) {
	store, err := runningServer(ctx, cfg)
	server, ok := store.(*admin.Client)
	if err != nil || !ok {
		return nil, nil, err
	}
	running, err := runningConfig(ctx, server, cfg)
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	return server, running, nil
}
