package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells the service manager what state the process is in, as sd_notify(3) does:
// datagrams at the socket in $NOTIFY_SOCKET. Without that variable it does nothing.
type notifier struct {
	conn  *net.UnixConn // nil: no service manager asks
	every time.Duration // how often the watchdog is fed; 0: it is off
	log   *slog.Logger
	// alive is asked before the watchdog is fed; nil: the process starts or ends, and what
	// it waits for is known.
	alive atomic.Pointer[func(context.Context) error]
}

// newNotifier connects with the service manager, and feeds its watchdog until stop is
// called. A process that replaced another one (see replaceProcess) goes on feeding where
// that one ended. A service manager that does not listen is a warning: the server runs
// without it.
func newNotifier(log *slog.Logger) (n *notifier, stop func()) {
	n = &notifier{log: log, every: watchdogInterval()}
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return n, func() {}
	}
	var err error
	if n.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		log.Warn("the service manager can't be told of the server's state (NOTIFY_SOCKET)", "err", err)
		return n, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.feed(ctx)
	}()
	return n, func() {
		cancel()
		<-ended
		n.conn.Close()
	}
}

// watchdogInterval is half of the time after which the service manager takes a silent
// process for hung; 0: it has no watchdog for this process.
func watchdogInterval() time.Duration {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	pid := os.Getenv("WATCHDOG_PID")
	if err != nil || usec < 2 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}

// feed feeds the watchdog while the process is alive.
func (n *notifier) feed(ctx context.Context) {
	if n.every == 0 {
		return
	}
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	for {
		n.beat(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// beat feeds the watchdog once, if what has to be alive is.
func (n *notifier) beat(ctx context.Context) {
	if alive := n.alive.Load(); alive != nil {
		limit, cancel := context.WithTimeout(ctx, n.every)
		err := (*alive)(limit)
		cancel()
		if ctx.Err() == nil && err != nil && n.alive.Load() == alive {
			n.log.Error("hung: the watchdog of the service manager is not fed, and will start the server again", "err", err)
			return
		}
	}
	n.say("WATCHDOG=1")
}

// ready reports that the server takes mail. From here on the watchdog is fed only while
// alive returns no error.
func (n *notifier) ready(line string, alive func(context.Context) error) {
	n.alive.Store(&alive)
	n.say("READY=1", "STATUS="+line)
}

// reloading reports that the configuration is read again, until done is called. While the
// server is not ready, or ends, that is no news: done would call it ready.
func (n *notifier) reloading() (done func()) {
	if n.alive.Load() == nil {
		return func() {}
	}
	n.say(reloadingLines()...)
	return func() { n.say("READY=1") }
}

func reloadingLines() []string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // can't fail with this clock
	return []string{"RELOADING=1", "MONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10)}
}

// replacing reports that the process is to be replaced, by order. The next one is ready again.
func (n *notifier) replacing() {
	n.say(append(reloadingLines(), "STATUS=restarting: the open sessions end")...)
}

// stopping reports that the server ends.
func (n *notifier) stopping() {
	n.alive.Store(nil)
	n.say("STOPPING=1", "STATUS=waiting for the sessions to end")
}

// restarting reports that the process replaces itself.
func (n *notifier) restarting(reason error) {
	n.alive.Store(nil)
	n.say("STATUS=restarting: " + strings.ReplaceAll(reason.Error(), "\n", "; "))
}

// sayPatience bounds how long a service manager that reads nothing holds the server up.
const sayPatience = 2 * time.Second

// say sends one datagram.
func (n *notifier) say(lines ...string) {
	if n.conn == nil {
		return
	}
	_ = n.conn.SetWriteDeadline(time.Now().Add(sayPatience))
	if _, err := n.conn.Write([]byte(strings.Join(lines, "\n"))); err != nil && !errors.Is(err, net.ErrClosed) {
		n.log.Warn("the service manager can't be told", "state", lines[0], "err", err)
	}
}
