package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
	"postrider/engine/server"
	"postrider/storage"
)

// stage is how far a server is from its end.
type stage struct{ atomic.Int32 }

const (
	serving   int32 = iota
	replacing       // by order of an operator
	ending
)

// shortDrain bounds the time in which nothing is accepted and sessions may end. Connections
// wait in the kernel meanwhile: 4,096 for each address, unless net.core.somaxconn is lower, and
// the clients' time-outs for a greeting begin at 10 s. The messages that are cut off after it
// have begun after the order: messages that were under way then had limits.drain_timeout. The
// client sends them again.
const shortDrain = 5 * time.Second

// localDrain is what commands, mail of sendmail, and requests of HTTP that are under way get
// before that.
const localDrain = time.Second

// restart checks that the program on disk can start, and orders that it takes the place of
// this process.
func (r *running) restart() (a admin.Restart) {
	r.mu.Lock() // a reload, or another check, ends first
	defer r.mu.Unlock()
	ordered := time.Now()
	a = admin.Restart{
		Program: r.from.program, Before: server.Version, PID: os.Getpid(), Started: r.started, Token: strconv.FormatInt(ordered.UnixNano(), 36),
	}
	err := r.mayRestart()
	if err == nil {
		a.Version, a.Socket, err = r.tryProgram()
	}
	if err == nil && !r.stage.CompareAndSwap(serving, replacing) {
		err = r.mayRestart()
	}
	if err != nil {
		code, _ := sysexits.Of(err)
		a.Error, a.Code = err.Error(), int(code)
		r.log.Error("not restarted, the server goes on as it is: " + a.Error)
		return a
	}
	r.log.Info("restart: the program on disk can start", "program", a.Program, "version", a.Version)
	r.orders <- &handover{Token: a.Token, Version: a.Before, Ordered: ordered}
	return a
}

// mayRestart reports why no restart can be ordered now.
func (r *running) mayRestart() error {
	switch r.stage.Load() {
	case serving:
		return nil
	case replacing:
		return sysexits.TempFail.With(errors.New("a restart is under way already"))
	}
	return sysexits.TempFail.With(errors.New("the server is about to end"))
}

// give ends the server in favour of the next process. First the sessions that are open end,
// while new ones are served. Then nothing is accepted, and the others end. At the end of ctx
// there is no next process.
func (r *running) give(ctx context.Context, by *handover, web *httpServers, store storage.Store) *successor {
	limit := r.cfg.Load().Limits.DrainTimeout
	r.manager.replacing()
	r.log.Info("restart: the open sessions end after the message or command that they are at; new ones are served", "limits.drain_timeout", limit)
	by.Ended = r.srv.EndSessions(ctx, limit)
	if ctx.Err() != nil {
		return nil
	}
	r.manager.restarting(errors.New("by order of an operator"))
	until, cancel := context.WithTimeout(context.Background(), min(limit, shortDrain))
	defer cancel()
	rest := r.endOthers(until, web)
	by.Stopped = time.Now()
	told, cut := r.srv.Quiesce(until)
	by.Ended, by.Cut = by.Ended+told, cut
	rest()
	r.srv.Close()
	r.srv.History().Flush() // what the last requests did
	if err := store.Close(); err != nil {
		r.log.Error("the store can't be closed; the next process recovers it", "err", err)
	}
	if ctx.Err() != nil {
		return nil
	}
	signalsWait()
	r.log.Info("restart: the next process begins", "sessions", by.Ended, "cut_off", by.Cut)
	return r.next(by)
}

// endOthers ends what does not come by the event loops: commands, mail of local users, HTTP.
// It returns when nothing of it is under way any more, or after localDrain; rest waits for the
// end of HTTP. None of them then hears that the server ends: it waits for the next process.
func (r *running) endOthers(until context.Context, web *httpServers) (rest func()) {
	var short, all sync.WaitGroup
	short.Go(func() { web.endAdmin(until, localDrain) })
	short.Go(func() { web.endMail(until, localDrain) })
	all.Go(func() { web.endWeb(until, r.log) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		short.Wait()
		all.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(localDrain):
	}
	short.Wait()
	return all.Wait
}

// next is the process that follows by order.
func (r *running) next(by *handover) *successor {
	by.Args = os.Args
	// Not closed on exec.
	if fd, err := unix.Open("/proc/self/exe", unix.O_PATH, 0); err == nil {
		by.Before = fd
	}
	return &successor{program: r.from.program, args: os.Args, sockets: r.sockets, by: by}
}

// signalsWait has SIGHUP, which would kill a process that has no handler for it yet, ignored
// until the next process has one.
func signalsWait() { signal.Ignore(syscall.SIGHUP) }

// tell logs what became of a restart, and returns it for the status; nil: there was none.
func (o *origin) tell(log *slog.Logger, ready time.Time) *admin.Restarted {
	h := o.by
	if h == nil {
		return nil
	}
	seconds := func(since time.Time) float64 { return max(0, ready.Sub(since)).Seconds() }
	t := &admin.Restarted{Token: h.Token, Before: h.Version, Ended: h.Ended, Cut: h.Cut, Took: seconds(h.Ordered), Gap: seconds(h.Stopped), Fault: h.Fault}
	if t.Fault != "" {
		log.Error("the restart has failed, and the program from before runs again", "version", server.Version, "err", t.Fault)
		return t
	}
	log.Info(fmt.Sprintf("restarted: version %s -> %s", t.Before, server.Version),
		"took", fmt.Sprintf("%.3fs", t.Took), "not_accepting", fmt.Sprintf("%.3fs", t.Gap), "sessions", t.Ended, "cut_off", t.Cut)
	return t
}
