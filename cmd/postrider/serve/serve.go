package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/host/maillog"
	"postrider/engine/server"
	"postrider/storage"
)

// flagValues are the words given for a flag that overrides a key of the
// configuration; they are read after the file, into the key.
type flagValues struct{ words []string }

func (f *flagValues) String() string     { return strings.Join(f.words, ",") }
func (f *flagValues) Type() string       { return "value" }
func (f *flagValues) Set(s string) error { f.words = append(f.words, s); return nil }

// Command is "postrider serve".
func Command() *cobra.Command {
	var file, profile, allocs string
	var demo, trying bool
	flags := make(map[string]*flagValues)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Take mail by SMTP, keep it, give it out by POP3",
		Long: `Run the mail server in the foreground until SIGTERM or SIGINT, then let the
sessions end and stop. Without a configuration it listens on
127.0.0.1:2525 (SMTP) and 127.0.0.1:1110 (POP3), keeps its data in
./postrider-data, and takes mail for the domain localhost.

When it is ready it prints one line, "ready", with its addresses, then where its
configuration and data are, and for a new store how to send a first message. It
logs to the standard error output.

With --demo the accounts mbrain and jsmith are made; mail for the postmaster goes to
mbrain. Their passwords are printed at each start; they are kept in the file
demo-passwords of the data directory.`,
		Example: `  postrider serve
  postrider serve --demo
  postrider serve --data /var/lib/postrider --domain example.org --smtp :25 --pop3 :110
  postrider serve --capture --http 127.0.0.1:8025
  postrider serve --config /etc/postrider.toml --http 127.0.0.1:8025`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			hangups := hangup()
			cfg, err := configOf(file, flags)
			if err != nil {
				return err
			}
			if trying {
				return tryStart(cmd.Context(), cfg, cmd.OutOrStdout())
			}
			from, err := readOrigin()
			if err != nil {
				return sysexits.Unavailable.With(err)
			}
			stop, err := startProfile(from.fileFor(profile))
			if err != nil {
				return err
			}
			written, err := startAllocProfile(from.fileFor(allocs))
			if err != nil {
				return err
			}
			load := func() (*config.Config, error) { return configOf(file, flags) }
			next, err := from.serve(cmd.Context(), cfg, load, hangups, demo, cmd.OutOrStdout())
			stop()
			err = errors.Join(err, written())
			if next != nil {
				err = errors.Join(err, next.take(cmd.Context()))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (TOML; default: $POSTRIDER_CONFIG, or /etc/postrider.toml if it exists); flags override it")
	cmd.Flags().BoolVar(&demo, "demo", false, "make the accounts mbrain and jsmith and print their passwords")
	cmd.Flags().StringVar(&profile, "profile", "", "write a CPU profile of the run to this file, for go tool pprof")
	cmd.Flags().StringVar(&allocs, "profile-allocs", "", "write a profile of the run's allocations to this file, for go tool pprof")
	cmd.Flags().BoolVar(&trying, trialFlag, false, "find out for \"postrider restart\" whether the program can start, and end")
	_ = cmd.Flags().MarkHidden(trialFlag) // it is there
	for _, k := range config.Default().Keys() {
		if k.Flag == "" {
			continue
		}
		v := new(flagValues)
		flags[k.Name] = v
		cmd.Flags().Var(v, k.Flag, fmt.Sprintf("%s (key %s; default %s)", strings.TrimSuffix(k.Help, "."), k.Name, k.Default()))
		if k.Type() == "boolean" {
			cmd.Flags().Lookup(k.Flag).NoOptDefVal = "true"
		}
	}
	return cmd
}

// configOf reads the file and puts the flags over it.
func configOf(file string, flags map[string]*flagValues) (*config.Config, error) {
	cfg, err := workspace.Load(file)
	if errors.Is(err, fs.ErrPermission) {
		return nil, sysexits.NoPerm.With(fmt.Errorf("%w: start the server as root or as its user, or name another file with --config", err))
	}
	if err != nil {
		return nil, sysexits.Config.With(err)
	}
	for name, v := range flags {
		k := cfg.Key(name)
		for _, word := range v.words {
			if err := k.Set(word); err != nil {
				return nil, sysexits.Usage.With(fmt.Errorf("--%s %s: %w; allowed: %s", k.Flag, word, err, k.Allowed()))
			}
		}
	}
	if err := cfg.Check(); err != nil {
		return nil, sysexits.Config.With(err)
	}
	return cfg, nil
}

// serve runs the server until ctx ends, or until another process is to take the place of this
// one: next. load reads the configuration again, for each signal in hangups.
func (o *origin) serve(ctx context.Context, cfg *config.Config, load func() (*config.Config, error), hangups chan os.Signal, demo bool, out io.Writer) (next *successor, err error) {
	next, err = o.run(ctx, cfg, load, hangups, demo, out)
	if next == nil && err != nil && ctx.Err() == nil {
		next = o.back(err)
	}
	if next == nil && o.sockets != nil {
		o.sockets.Close()
	}
	return next, err
}

func (o *origin) run(ctx context.Context, cfg *config.Config, load func() (*config.Config, error), hangups chan os.Signal, demo bool, out io.Writer) (next *successor, err error) {
	started, asked := time.Now(), cfg.Clone()
	handler, err := openLog(cfg)
	if err != nil {
		return nil, err
	}
	defer handler.Close()
	log := slog.New(handler)
	if os.Getenv("GOMAXPROCS") == "" {
		// A loop that comes back from the kernel needs a free P at once, also while
		// compactions and hashes keep all cores busy.
		runtime.GOMAXPROCS(runtime.NumCPU() + loops(cfg))
	}

	manager, stopNotifying := newNotifier(log)
	defer stopNotifying()
	if err := o.prepare(ctx, cfg, log); err != nil {
		return nil, err
	}
	share, err := setFilesAside(cfg, log)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	store, err := openStore(ctx, cfg, log, failed, started)
	if errors.Is(err, storage.ErrFailed) && isReplacement() && ctx.Err() == nil {
		pause := restartPause(started)
		log.Error("the store can't be opened yet; trying again with another process", "err", err, "pause", pause)
		if wait(ctx, pause); ctx.Err() != nil {
			return nil, err
		}
		return o.again(pause), nil
	}
	if err != nil {
		return nil, err
	}
	if err := bootstrap(store, cfg, demo, out); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if cfg.Storage.Durability == config.DurabilityNone {
		log.Warn("storage.durability is none: accepted mail is lost when the machine fails or this process is killed")
	}
	srv, err := server.NewOn(o.sockets, cfg, store, log)
	if err != nil {
		return nil, sysexits.Unavailable.With(errors.Join(err, store.Close()))
	}
	live := &running{load: load, srv: srv, store: store, lines: handler, sockets: o.sockets, log: log, manager: manager, share: share, asked: asked,
		from: o, started: started, orders: make(chan *handover, 1), ready: make(chan struct{})}
	live.cfg.Store(cfg)
	stop, err := serveHTTP(ctx, &httpParams{cfg, o.sockets, srv, store, log, started, live})
	if err != nil {
		return nil, sysexits.Unavailable.With(errors.Join(err, store.Close()))
	}
	srv.Start()
	o.started()
	live.restarted = o.tell(log, time.Now())
	close(live.ready)
	ready := readyLine(srv, stop)
	fmt.Fprintln(out, ready)
	log.Info(ready)
	if err := firstSteps(store, cfg, demo, out); err != nil {
		log.Warn("the accounts can't be listed", "err", err)
	}
	defer live.onHangup(hangups)()
	manager.ready(ready, srv.Alive)
	return live.untilEnd(ctx, failed, stop, store)
}

// untilEnd waits for the reason to end, and ends.
func (r *running) untilEnd(ctx context.Context, failed <-chan error, web *httpServers, store storage.Store) (next *successor, err error) {
	select {
	case <-ctx.Done():
	case err := <-failed:
		return r.restartFailed(ctx, err), nil
	case by := <-r.orders:
		if next := r.give(ctx, by, failed, web, store); next != nil {
			return next, nil
		}
	}
	r.stage.Store(ending)
	r.manager.stopping()
	limit := r.cfg.Load().Limits.DrainTimeout
	r.log.Info("stopping: sessions in the middle of a message may finish it", "limits.drain_timeout", limit)
	until, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.srv.Drain(until)
	web.end(until, r.log)
	err = store.Close()
	// What the last requests did, and the messages that the end of the store has waited for.
	r.srv.History().Flush()
	if errors.Is(err, storage.ErrClosed) { // the signal came in the middle of a restart
		err = nil
	}
	return nil, sysexits.IOErr.With(err)
}

// restartFailed ends a server whose store has failed, in favour of a process that opens it
// again; nil: ctx has ended, and no process is to follow.
func (r *running) restartFailed(ctx context.Context, err error) *successor {
	r.stage.Store(ending)
	pause := restartPause(r.started)
	r.manager.restarting(err)
	r.log.Error("the store failed: restarting", "err", err, "pause", pause)
	drain(r.srv, 2*time.Second) // the answers to what was in flight: 451
	if wait(ctx, pause); ctx.Err() != nil {
		return nil
	}
	signalsWait()
	return r.from.again(pause)
}

// again is the same program in the place of this process, for a failed store.
func (o *origin) again(pause time.Duration) *successor {
	return &successor{program: o.program, args: os.Args, sockets: o.sockets, failed: true, pause: pause}
}

// readyLine has the addresses of a server that takes mail.
func readyLine(srv *server.Server, web *httpServers) string {
	line := "ready"
	for _, at := range srv.Listening() {
		line += addresses(at.Name, at.Addrs())
	}
	return line + addresses("http", web.sites.addrs("http")) + addresses("https", web.sites.addrs("https"))
}

// openStore opens the store. A process that replaces one with a failed store tries until
// it can.
func openStore(ctx context.Context, cfg *config.Config, log *slog.Logger, failed chan<- error, started time.Time) (storage.Store, error) {
	for {
		store, err := workspace.OpenStore(cfg, log, func(err error) { failed <- err })
		if err == nil || !isReplacement() || ctx.Err() != nil || errors.Is(err, storage.ErrFailed) {
			return store, err
		}
		log.Error("the store can't be opened yet; trying again", "err", err, "pause", restartPause(started))
		wait(ctx, restartPause(started))
	}
}

// openLog opens the log. A file that root makes belongs to the user of the server, as which it is opened again.
func openLog(cfg *config.Config) (*maillog.Handler, error) {
	if os.Geteuid() == 0 {
		u, err := workspace.ServerUser(cfg)
		if err == nil && u != nil {
			err = maillog.Make(cfg.Log.To, u.UID, u.GID)
		}
		if err != nil {
			return nil, err
		}
	}
	handler, err := maillog.Open(logSettings(cfg))
	return handler, sysexits.CantCreate.With(err)
}

// logSettings are how the log is written.
func logSettings(cfg *config.Config) maillog.Settings {
	return maillog.Settings{
		To: cfg.Log.To, Name: cfg.Log.Name, Host: cfg.Server.Hostname, JSON: cfg.Log.Format == config.LogJSON, Level: cfg.Log.Level,
	}
}

func loops(cfg *config.Config) int {
	if cfg.Server.Loops > 0 {
		return cfg.Server.Loops
	}
	return runtime.NumCPU()
}

// drain ends the sessions, for at most limit.
func drain(srv *server.Server, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	srv.Drain(ctx)
}
