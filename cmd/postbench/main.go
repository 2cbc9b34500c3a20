// Command postbench loads a mail server by SMTP and POP3 and reports what it
// did. It is a thin layer over package bench, which says what is measured and how.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
)

func main() {
	// A second signal kills.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	args := os.Args[1:]
	if name := filepath.Base(os.Args[0]); name == "smtp-source" {
		args = append([]string{name}, args...)
	}
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "postbench:", err)
		os.Exit(int(codeOf(err)))
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "postbench",
		Short: "Load a mail server, be one, and compare",
		Long: `Postbench measures mail servers over TCP, all of them in the same way. It sends
(smtp), reads (pop3), does both as on a normal day (mixed), holds sessions (idle), plays
the other hosts of a relay (sink, relay), checks that nothing acknowledged is lost
(--verify, verify), and says whether one result is better than another (compare).

Exit codes: 0 success; 1 the server refused, lost or broke something; 64 the
command line is wrong; 65 an input is wrong; 66 an input file does not exist; 69 the
server can't be reached.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs, // RunE reports wrong arguments
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return sysexits.Usage.With(fmt.Errorf("unknown command %q (see \"postbench --help\")", args[0]))
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return sysexits.Usage.With(fmt.Errorf("%w (see \"%s --help\")", err, cmd.CommandPath()))
	})
	root.AddCommand(smtpCommand(), smtpSourceCommand(), pop3Command(), maildropCommand(), mixedCommand(), idleCommand(), relayCommand(), sinkCommand(), verifyCommand(), timedCommand(), tableCommand(), compareCommand(), strangersCommand())
	return root
}

// exactly is cobra.ExactArgs with exit code 64.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return sysexits.Usage.With(fmt.Errorf("expected %d arguments, got %d: %s", n, len(args), cmd.UseLine()))
	}
}
