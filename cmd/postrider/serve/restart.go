package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"postrider/cmd/sysexits"
	"postrider/engine/edge/privilege"
	"postrider/engine/server"
)

// A process can be replaced by a new one in its place: by exec, so that the process keeps its
// number, with the sockets that it listens on.
//
// An operator orders it for a new version of the program (order.go). And a store that can't
// write its log any more (a failed sync, a disk that failed) can't be repaired in place: what
// the failed handle still holds in memory must not reach the disk later. The new process opens
// the store again: everything that got its 250 is there. When the fault lasts, the new process
// fails to open or fails again; the pauses between the tries double up to restartMax.

const (
	pauseEnv    = "POSTRIDER_RESTART_PAUSE" // seconds, for the process that follows a failed store
	handoverEnv = "POSTRIDER_HANDOVER"      // a handover
	restartMax  = 30 * time.Second
	// healthyAfter is how long a process must have run for its failure to count as
	// a new one, with no pause.
	healthyAfter = time.Minute
)

// isReplacement reports whether this process replaces one with a failed store, or one that
// could not start. It does not give up when the store can't be opened: the fault may be the
// same, a full disk for example.
func isReplacement() bool { return os.Getenv(pauseEnv) != "" }

// wait sleeps, unless ctx ends before.
func wait(ctx context.Context, pause time.Duration) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// restartPause is how long a process that started at started waits before it
// replaces itself.
func restartPause(started time.Time) time.Duration {
	if time.Since(started) > healthyAfter {
		return 0
	}
	seconds, err := strconv.Atoi(os.Getenv(pauseEnv))
	if err != nil || seconds < 1 {
		return time.Second
	}
	return min(2*time.Duration(seconds)*time.Second, restartMax)
}

// handover is what a process that is replaced by order tells the next one.
type handover struct {
	Token   string
	Version string    // its own
	Ordered time.Time // the restart
	Stopped time.Time // accepting
	Ended   int       // sessions that were ended
	Cut     int       // sessions that were cut off
	// Fault is why the program on disk did not start: the next process has the program from
	// before.
	Fault string
	// Before is a descriptor of the program from before, which the next process executes with
	// Args if it can't start; 0: it must not.
	Before int
	Args   []string
}

// successor is the process that takes the place of this one.
type successor struct {
	program string
	args    []string
	sockets interface{ Pass() (string, error) }
	failed  bool          // the store has, or the process that was to come: see isReplacement
	pause   time.Duration // before it
	by      *handover     // nil: by no order
}

// take executes the program in the place of this process. If the program can't be executed by
// order, the present one is, once more: it can't go on, since its store is closed. take returns only
// when all fails, or nil when ctx has ended: the process is to end then.
func (n *successor) take(ctx context.Context) error {
	signalsWait()
	// From here on they end the process at once, which has nothing to lose any more. A handler
	// would be gone with the program, and with it the signal.
	signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	if ctx.Err() != nil {
		return nil
	}
	err := n.exec(n.program)
	if n.by != nil && n.by.Fault == "" {
		if n.by.Before > 0 {
			_ = unix.Close(n.by.Before)
		}
		n.by.Fault, n.by.Before = err.Error(), 0
		err = errors.Join(err, n.exec("/proc/self/exe"))
	}
	return sysexits.TempFail.With(fmt.Errorf("the process can't be replaced, and ends: %w", err))
}

func (n *successor) exec(program string) error {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, pauseEnv+"=") || strings.HasPrefix(e, handoverEnv+"=")
	})
	if n.failed {
		env = append(env, pauseEnv+"="+strconv.Itoa(int(n.pause/time.Second)))
	}
	if n.by != nil {
		text, err := json.Marshal(n.by)
		if err != nil {
			return err
		}
		env = append(env, handoverEnv+"="+string(text))
	}
	passed, err := n.sockets.Pass()
	if err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: program, Err: syscall.Exec(program, n.args, append(env, passed))}
}

// startedBy is the path that this program was started by, where a new version of it will be:
// a symbolic link is not followed.
func startedBy() (string, error) {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			here, err := os.Stat(path)
			self, err2 := os.Stat("/proc/self/exe")
			if err == nil && err2 == nil && os.SameFile(here, self) {
				return path, nil
			}
		}
	}
	return os.Executable()
}

// origin is what a process was started with by the one that it replaces, or by systemd.
type origin struct {
	program string
	held    *privilege.Held
	sockets *privilege.Sockets // nil: not bound yet
	by      *handover          // nil: no process was replaced by order
}

// readOrigin reads it from the environment, which then has it no more.
func readOrigin() (*origin, error) {
	held, err := privilege.Inherited()
	if err != nil {
		return nil, err
	}
	o := &origin{held: held}
	if o.program, err = startedBy(); err != nil {
		return nil, err
	}
	text := os.Getenv(handoverEnv)
	_ = os.Unsetenv(handoverEnv)
	if text == "" {
		return o, nil
	}
	o.by = new(handover)
	if err := json.Unmarshal([]byte(text), o.by); err != nil {
		return nil, fmt.Errorf("%s: %w", handoverEnv, err)
	}
	if o.by.Before > 0 {
		unix.CloseOnExec(o.by.Before)
	}
	if o.by.Fault != "" { // this program was executed by its descriptor
		_ = os.WriteFile("/proc/self/comm", []byte("postrider"), 0) // for ps
	}
	return o, nil
}

// started reports that the process has started: there is no way back any more.
func (o *origin) started() {
	if o.by != nil && o.by.Before > 0 {
		_ = unix.Close(o.by.Before)
		o.by.Before = 0
	}
}

// back is the process before, with its program, for a process by order that can't start;
// nil: there is no way back.
func (o *origin) back(fault error) *successor {
	if o.by == nil || o.by.Before == 0 {
		return nil
	}
	n := &successor{program: fmt.Sprintf("/proc/self/fd/%d", o.by.Before), args: o.by.Args, failed: true, by: o.by}
	n.by.Fault, n.by.Before = fmt.Sprintf("version %s could not start: %v", server.Version, fault), 0
	if n.sockets = o.held; o.sockets != nil {
		n.sockets = o.sockets
	}
	return n
}
