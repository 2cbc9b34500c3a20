package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
)

func timedCommand() *cobra.Command {
	var o outcome
	var messages int
	var octets int64
	cmd := &cobra.Command{
		Use:   "timed [flags] -- COMMAND...",
		Short: "Measure what another load generator does",
		Long: `Run another load generator, such as Postfix's smtp-source, and write a result: the
time it took and what the server's processes used meanwhile. The number of messages is
taken from --messages, so a generator that fails must say so by its exit code.`,
		Example: `  postbench timed --messages 20000 --octets 4096 --pid 4711 --json a.json -- \
      smtp-source -d -s 20 -m 20000 -l 4096 inet:127.0.0.1:25`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.measure(cmd, args[len(args)-1], 0, func(ctx context.Context, _ int, meter *bench.Meter) (bench.Report, error) {
				ctx, cancel := o.start(ctx, meter)
				defer cancel()
				begin := time.Now()
				out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
				report := bench.Report{Elapsed: time.Since(begin)}
				if err != nil {
					return report, fmt.Errorf("%s: %w\n%s", args[0], err, out)
				}
				report.Messages, report.Octets = messages, int64(messages)*octets
				return report, nil
			})
		},
	}
	o.add(cmd)
	cmd.Flags().IntVar(&messages, "messages", 1, "messages that the command sends")
	cmd.Flags().Int64Var(&octets, "octets", 0, "octets of each")
	return cmd
}
