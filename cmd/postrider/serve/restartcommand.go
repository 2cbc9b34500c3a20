package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/front/admin"
)

// restartResult is what --json prints.
type restartResult struct {
	Program string           `json:"program"`
	Before  string           `json:"before"` // the version of the server
	Version string           `json:"version"`
	PID     int              `json:"pid"`
	Done    *admin.Restarted `json:"done"` // null: nothing was restarted
	Error   string           `json:"error,omitempty"`
}

// RestartCommand is "postrider restart".
func RestartCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Replace the running server by the program on disk, without refusing a connection",
		Long: `Replace the running server by a new process of the program on disk, which has the same
arguments, reads the configuration file again, and gets the sockets that the server listens
on: no connection is refused. It is for a new version of the program, and for keys that need
a restart.

First the program on disk has to find that it can start: with the configuration, the files
that it names, new addresses, and the format of the store. If not, nothing changes, the
server goes on, and the exit code is 78.

Then the sessions that are open end, each after the message or command that it is at (at
most limits.drain_timeout), while new ones are served. Then connections wait in the kernel,
usually for less than a second and for some more than five at most, and the new process
takes them. Should it fail to start all the same, the program from before runs again, and
the exit code is 69.

The command waits for the new process, and prints what happened.`,
		Example: `  postrider restart
  postrider restart --json --config /etc/postrider.toml`,
		Args: workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			server, err := t.Server(cmd.Context())
			if err != nil {
				return err
			}
			order, err := server.Restart()
			if err := errors.Join(err, server.Close()); err != nil {
				return err
			}
			var done *admin.Restarted
			if order.Error == "" {
				if done, err = awaitRestart(cmd.Context(), order, limit); err != nil {
					return err
				}
			}
			return printRestarted(cmd.OutOrStdout(), order, done, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&limit, "wait", 10*time.Minute, "how long to wait for the new process")
	return t.Flags(cmd)
}

func printRestarted(out io.Writer, order admin.Restart, done *admin.Restarted, asJSON bool) error {
	if asJSON {
		if err := workspace.PrintJSON(out, restartResult{order.Program, order.Before, order.Version, order.PID, done, order.Error}); err != nil {
			return sysexits.IOErr.With(err)
		}
	}
	switch {
	case order.Error != "":
		return sysexits.Code(order.Code).With(fmt.Errorf("nothing is restarted, the server goes on as it is: %s", order.Error))
	case done.Fault != "":
		return sysexits.Unavailable.With(fmt.Errorf("the program on disk was not started, and version %s runs again after %.1f s without a server: %s", done.Before, done.Gap, done.Fault))
	case asJSON:
		return nil
	}
	_, err := fmt.Fprintf(out, "restarted: version %s -> %s, process %d, in %.2f s\nsessions ended: %d, of them cut off: %d; new connections waited for up to %.2f s\n",
		done.Before, order.Version, order.PID, done.Took, done.Ended, done.Cut, done.Gap)
	return sysexits.IOErr.With(err)
}

const (
	// answerTime bounds one question. A question that is asked in the gap waits for the new
	// process.
	answerTime = 30 * time.Second
	// goneTime is how long a process must be gone: a service manager may start another one.
	goneTime = 10 * time.Second
)

// awaitRestart waits until the next process answers.
func awaitRestart(ctx context.Context, order admin.Restart, limit time.Duration) (*admin.Restarted, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for gone := time.Duration(0); ; {
		begun := time.Now()
		status, err := statusWithin(ctx, order.Socket)
		switch {
		case err == nil && status.Restarted != nil && status.Restarted.Token == order.Token:
			return status.Restarted, nil
		case err == nil && !status.Started.Equal(order.Started):
			return nil, sysexits.TempFail.With(fmt.Errorf("the new process has ended, and another one was started after it: version %s, process %d; the log says why", status.Version, status.PID))
		case errors.Is(err, fs.ErrPermission):
			return nil, sysexits.NoPerm.With(err)
		case ctx.Err() != nil:
			return nil, sysexits.TempFail.With(fmt.Errorf("after %s the new process does not answer yet: look at its log, and ask \"postrider status\"", limit))
		}
		wait(ctx, 20*time.Millisecond)
		if gone += time.Since(begun); syscall.Kill(order.PID, 0) != syscall.ESRCH {
			gone = 0
		}
		if gone > goneTime {
			return nil, sysexits.Unavailable.With(fmt.Errorf("no server runs any more: process %d has ended, and its log says why; start the server again", order.PID))
		}
	}
}

func statusWithin(ctx context.Context, path string) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return admin.StatusAt(ctx, path)
}
