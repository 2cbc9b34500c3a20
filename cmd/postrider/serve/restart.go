package serve

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"postrider/engine/edge/privilege"
)

// A store that can't write its log any more (a failed sync, a disk that failed) can't
// be repaired in place: what the failed handle still holds in memory must not reach
// the disk later. The process then replaces itself by a new one, which opens the store
// again: everything that got its 250 is there. When the fault lasts, the new process fails to open or fails again; the pauses between
// the tries double up to restartMax.

const (
	restartEnv = "POSTRIDER_RESTART_PAUSE" // seconds, for the process that follows
	restartMax = 30 * time.Second
	// healthyAfter is how long a process must have run for its failure to count as
	// a new one, with no pause.
	healthyAfter = time.Minute
)

// isReplacement reports whether this process replaces one with a failed store. It does
// not give up when the store can't be opened: the fault may be the same, a full disk
// for example.
func isReplacement() bool { return os.Getenv(restartEnv) != "" }

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
	seconds, err := strconv.Atoi(os.Getenv(restartEnv))
	if err != nil || seconds < 1 {
		return time.Second
	}
	return min(2*time.Duration(seconds)*time.Second, restartMax)
}

// replaceProcess starts the same command in place of this process, with its sockets. It returns
// only when that can't be done.
func replaceProcess(pause time.Duration, sockets *privilege.Sockets) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	passed, err := sockets.Pass()
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	env := []string{passed, restartEnv + "=" + strconv.Itoa(int(pause/time.Second))}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, restartEnv+"=") {
			env = append(env, e)
		}
	}
	signal.Ignore(syscall.SIGHUP) // until the next process takes it; it reads the file anyway
	return fmt.Errorf("restart: %w", syscall.Exec(self, os.Args, env))
}
