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

// localDrain is what commands and requests of HTTP that are under way get before that, whatever
// limits.drain_timeout is: the answer to the order is one of them.
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
// there is no next process. failed tells that the store fails meanwhile.
func (r *running) give(ctx context.Context, by *handover, failed <-chan error, web *httpServers, store storage.Store) *successor {
	limit := r.cfg.Load().Limits.DrainTimeout
	r.manager.replacing()
	r.log.Info("restart: the open sessions end after the message or command that they are at; new ones are served", "limits.drain_timeout", limit)
	var broken bool
	by.Ended, broken = r.endSessions(ctx, limit, failed)
	if ctx.Err() != nil {
		return nil
	}
	r.manager.restarting(errors.New("by order of an operator"))
	rest := r.endOthers(min(limit, shortDrain), web)
	by.Stopped = time.Now()
	until, cancel := context.WithTimeout(context.Background(), min(limit, shortDrain))
	defer cancel()
	told, cut := r.srv.Quiesce(until)
	by.Ended, by.Cut = by.Ended+told, cut
	rest()
	r.srv.Close()
	if err := store.Close(); err != nil {
		r.log.Error("the store can't be closed; the next process recovers it", "err", err)
	}
	r.srv.History().Flush() // what the last requests did, and the messages that the end of the store has waited for
	if ctx.Err() != nil {
		return nil
	}
	signalsWait()
	r.log.Info("restart: the next process begins", "sessions", by.Ended, "cut_off", by.Cut)
	return r.next(by, broken)
}

// endSessions ends the sessions that are open. It stops waiting for them when the store fails:
// all that they can hear is 451, until the next process opens the store again.
func (r *running) endSessions(ctx context.Context, limit time.Duration, failed <-chan error) (told int, broken bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- r.srv.EndSessions(ctx, limit) }()
	select {
	case told = <-ended:
		return told, false
	case err := <-failed:
		r.log.Error("the store failed: the restart does not wait for the open sessions", "err", err)
		cancel()
		return <-ended, true
	}
}

// endOthers ends what does not come by the event loops: commands, mail of local users, HTTP.
// Commands come first, since a checkpoint may take long, and clients of the others need not
// wait for it. endOthers returns when no command and no mail is under way any more, and HTTP
// had localDrain; rest waits for the end of HTTP, which has limit. None of them then hears that
// the server ends: it waits for the next process.
func (r *running) endOthers(limit time.Duration, web *httpServers) (rest func()) {
	web.endAdmin(localDrain)
	var mail, all sync.WaitGroup
	mail.Go(func() { web.endMail(shortDrain) })
	all.Go(func() {
		until, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		web.endWeb(until, r.log)
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		all.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(localDrain):
	}
	mail.Wait()
	return all.Wait
}

// next is the process that follows by order; broken: the store has failed.
func (r *running) next(by *handover, broken bool) *successor {
	by.Args = os.Args
	// Not closed on exec.
	if fd, err := unix.Open("/proc/self/exe", unix.O_PATH, 0); err == nil {
		by.Before = fd
	}
	return &successor{program: r.from.program, args: os.Args, sockets: r.sockets, failed: broken, by: by}
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
