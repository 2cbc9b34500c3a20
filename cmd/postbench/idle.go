package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postrider/bench"
	"postrider/cmd/sysexits"
)

func idleCommand() *cobra.Command {
	var c clientFlags
	var idle bench.Idle
	var sources []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "idle [flags] HOST:PORT",
		Short: "Hold sessions that do nothing",
		Long: `Open many sessions and hold them: how fast they open, what memory the server takes for
each (the proportional set size of the process given by --pid and its children, before
and with them), how fast a fresh session is served meanwhile, and how many are alive
afterwards. A host has 28,000 ports for one address; use more than one --source, such
as 127.0.0.2,127.0.0.3. Each session takes a descriptor: see ulimit -n.`,
		Example: `  postbench idle --sessions 10000 --source 127.0.0.2,127.0.0.3 --pid 4711 127.0.0.1:25
  postbench idle --pop3 --auth reader:secret --sessions 100 127.0.0.1:110`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if idle.Client, err = c.client(args[0], "25"); err != nil {
				return err
			}
			if idle.Sessions < 1 {
				return sysexits.Usage.With(errors.New("--sessions must be more than 0"))
			}
			if len(sources) > 0 {
				if idle.Client.Dial, err = from(sources); err != nil {
					return err
				}
			}
			report, err := idle.Run(cmd.Context())
			if asJSON {
				return errors.Join(err, json.NewEncoder(cmd.OutOrStdout()).Encode(report))
			}
			fmt.Fprintln(cmd.OutOrStdout(), report)
			for _, failure := range report.Failed {
				fmt.Fprintln(cmd.OutOrStdout(), "  ", failure)
			}
			return err
		},
	}
	c.add(cmd)
	flags := cmd.Flags()
	flags.IntVar(&idle.Sessions, "sessions", 1000, "sessions")
	flags.IntVar(&idle.Openers, "openers", 50, "connects at once")
	flags.DurationVar(&idle.Hold, "hold", 2*time.Second, "how long the sessions are held")
	flags.IntSliceVar(&idle.PIDs, "pid", nil, "processes of the server")
	flags.StringSliceVar(&sources, "source", nil, "addresses of this host to connect from, in turn")
	flags.BoolVar(&idle.POP3, "pop3", false, "by POP3, logged in")
	flags.StringVar(&c.auth, "auth", "", "NAME:PASSWORD")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
