package serve

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postrider/cmd/postrider/serve/inspect"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/config"
	"postrider/engine/edge/privilege"
	"postrider/engine/front/admin"
	"postrider/engine/host/maillog"
	"postrider/engine/server"
	"postrider/storage"
)

// running is the server of this process, and the configuration that it goes by.
type running struct {
	load    func() (*config.Config, error) // reads the file, with the flags over it
	srv     *server.Server
	store   storage.Store
	web     *httpServers // nil in tests without HTTP
	lines   *maillog.Handler
	sockets *privilege.Sockets
	log     *slog.Logger
	manager *notifier
	share   fileShare // what each use got of the open files, at the start
	from    *origin
	started time.Time

	stage     stage
	orders    chan *handover   // has room for the one that takes stage to replacing
	ready     chan struct{}    // closed when the server takes mail
	restarted *admin.Restarted // how this process began; set before ready

	mu    sync.Mutex     // held by a reload, and by the check before a restart
	asked *config.Config // the file and the flags, as far as they are applied; guarded by mu
	// cfg is asked with the addresses that were bound, and without what the limit of open
	// files does not allow.
	cfg atomic.Pointer[config.Config]
}

// reload reads the configuration again, and applies the keys that a running server can
// change. At an error no key changes. The log has the answer too. In any case the file of
// the log is opened again. Unless the server is about to end, the certificates and the DKIM keys
// are read again too.
func (r *running) reload() (done admin.Reloaded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fault := func(err error) {
		if err != nil {
			done.Faults, done.Code = append(done.Faults, err.Error()), int(cmp.Or(workspace.ExitCode(err), sysexits.IOErr))
			r.log.Error("reload: " + err.Error())
		}
	}
	fault(r.lines.Reopen())
	done.Changes = []admin.Change{}
	if err := r.mayRestart(); err != nil {
		code, _ := sysexits.Of(err)
		done.Error, done.Code = err.Error(), int(code)
		r.log.Error("the configuration is not reloaded: " + done.Error)
		return done
	}
	defer r.manager.reloading()()
	next, err := r.load()
	if err == nil {
		done.File = next.File()
		var late error
		done.Changes, late, err = r.apply(next)
		fault(late)
	}
	fault(r.srv.ReloadCertificates()) // after the addresses, which an authority of ACME connects to
	if err != nil {
		done.Changes = []admin.Change{}
		done.Error, done.Code = err.Error(), int(cmp.Or(workspace.ExitCode(err), sysexits.Config))
		r.log.Error("the configuration is not reloaded, the server goes on with the old one: " + done.Error)
		return done
	}
	for _, c := range done.Changes {
		r.log.Info("reload: " + c.Key + " " + outcome(c) + ": " + c.Old + " -> " + c.New)
	}
	if len(done.Changes) == 0 {
		r.log.Info("reload: no key has changed")
	}
	return done
}

func outcome(c admin.Change) string {
	if c.Applied {
		return "applied"
	}
	return "needs a restart"
}

// apply has the server go by next, as far as it can without a restart. late tells what did
// not work although the keys are applied.
func (r *running) apply(next *config.Config) (changes []admin.Change, late, err error) {
	asked, now := r.asked.Clone(), r.cfg.Load().Clone()
	for _, c := range config.Changes(r.asked, next) {
		applied := !c.Restart && !r.isPassed(c.Key) && !r.isBeyond(c.Key, next) && !r.isCaptures(c.Key)
		if applied {
			asked.Take(next, c.Key)
			now.Take(next, c.Key)
		}
		changes = append(changes, admin.Change{Key: c.Key, Old: c.Old, New: c.New, Applied: applied})
	}
	now.Take(asked, "limits.connections") // as asked, not as the limit of open files left it
	now.Take(asked, "relay.connections")
	now.KeepAddresses(r.asked, r.cfg.Load())
	if err := now.Check(); err != nil {
		return nil, nil, sysexits.Config.With(fmt.Errorf("without the keys that need a restart: %w", err))
	}
	if f := inspect.AsRoot(now, os.Geteuid()); f != nil {
		return nil, nil, sysexits.Config.With(f)
	}
	if err := secrets(now); err != nil {
		return nil, nil, sysexits.Config.With(err)
	}
	if err := shareFilesAgain(now, r.share, r.log); err != nil {
		return nil, nil, err
	}
	if err := r.use(now); err != nil {
		return nil, nil, err
	}
	r.asked = asked
	r.cfg.Store(now)
	r.nameSockets()
	if r.web != nil {
		if err := r.web.join(now); err != nil {
			late = fmt.Errorf("the keys are applied, but not all addresses of HTTP are served; reload again: %w", err)
		}
	}
	return changes, errors.Join(late, addPostmaster(r.store, now.DefaultDomain())), nil
}

// use has all parts go by a configuration, or none of them.
func (r *running) use(now *config.Config) (err error) {
	var undo []func() error
	defer func() {
		for _, f := range undo {
			if err != nil {
				err = errors.Join(err, f())
			}
		}
	}()
	for _, d := range now.Server.Domains {
		switch err := r.store.AddDomain(d); {
		case err == nil:
			undo = append(undo, func() error { return r.store.RemoveDomain(d) })
		case !errors.Is(err, storage.ErrExists):
			return sysexits.IOErr.With(fmt.Errorf("server.domains: %s: %w", d, err))
		}
	}
	if r.web != nil {
		if err := r.web.prepare(now); err != nil {
			return sysexits.CantCreate.With(err)
		}
	}
	before := r.lines.Settings()
	if err := r.lines.Configure(logSettings(now)); err != nil {
		return sysexits.Config.With(err)
	}
	undo = append(undo, func() error { return r.lines.Configure(before) })
	err = r.srv.Reload(now)
	if disk, ok := r.store.(storage.Floored); ok && err == nil {
		disk.SetFreeFloor(now.Storage.FreeFloor)
	}
	if err == nil || errors.Is(err, storage.ErrTemporary) {
		return err
	}
	return sysexits.Config.With(err)
}

// nameSockets has the next process know each socket by its address in the file as it is now: an
// address that is kept may have got another spelling, such as [::]:25 for :25.
func (r *running) nameSockets() {
	asked := server.Listeners(r.asked)
	for n, l := range server.Listeners(r.cfg.Load()) {
		for i, addr := range l.Addrs {
			if len(asked[n].Addrs) == len(l.Addrs) { // systemd may have passed another number
				r.sockets.Ask(l.Name, addr, asked[n].Addrs[i])
			}
		}
	}
}

// isPassed reports whether a key is of addresses whose sockets systemd has passed.
func (r *running) isPassed(key string) bool {
	all := server.Listeners(r.asked)
	i := slices.IndexFunc(all, func(l config.Listeners) bool { return l.Key == key })
	return i >= 0 && r.sockets.Passed(all[i].Name)
}

// isBeyond reports whether a key is of more connections than the queues that were made at
// the start have room for.
func (r *running) isBeyond(key string, next *config.Config) bool {
	return key == "limits.connections" && next.Limits.Connections > max(r.share.connections, server.SureConnections)
}

// isCaptures reports whether a key is of the domain of the account that has all captured
// mail.
func (r *running) isCaptures(key string) bool { return key == "server.domains" && r.asked.Capture.On }

// hangup takes SIGHUP from now on: before the server is ready too, where it would end the
// process.
func hangup() chan os.Signal {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return hangups
}

// onHangup has SIGHUP reload, until the function that it returns is called.
func (r *running) onHangup(hangups chan os.Signal) (stop func()) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range hangups {
			r.reload()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-over
	}
}
