package queue

import (
	"bufio"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/life"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
)

// WhyCommand is "postrider why".
func WhyCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why ID",
		Short: "Print a message's history: its origin, each attempt, what comes next",
		Long: `Print the history of a message to other hosts: where it came from, each attempt with
the replies of the hosts, and when it is tried next, or that it has left the queue.
The history of a message is kept for a while after it has left.`,
		Example: "  postrider why 06FV1Q2C80000\n  postrider why 06FV1Q2C80000 --json",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := selection.ParseID(args[0])
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				l, err := life.Read(ws, id.Entry.Message, time.Now())
				if err != nil {
					return err
				}
				out := bufio.NewWriter(cmd.OutOrStdout())
				if asJSON {
					err = workspace.PrintJSON(out, l.Line())
				} else {
					l.Print(out)
				}
				if flushed := out.Flush(); err == nil {
					err = flushed
				}
				return sysexits.IOErr.With(err)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}
