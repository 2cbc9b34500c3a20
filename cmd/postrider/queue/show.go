package queue

import (
	"bufio"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/queue/entry"
	"postrider/cmd/postrider/queue/selection"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/storage"
)

func showCommand() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID...",
		Short: "Print everything that is known about mail in the queue",
		Long: `Print everything that the queue knows about a message (ID) or one of its entries
(ID-PART). For earlier attempts see "postrider why ID".`,
		Example: "  postrider queue show 06FV1Q2C80000\n  postrider queue show 06FV1Q2C80000-1 --json",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, whole, err := selection.ReadIDs(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				out := bufio.NewWriter(cmd.OutOrStdout())
				first := true
				err := each(ws, &selection.Selection{IDs: ids, Whole: whole}, func(e *storage.QueueEntry) bool {
					if asJSON {
						return printLine(out, entry.LineOf(e, time.Now())) == nil
					}
					if !first {
						fmt.Fprintln(out)
					}
					first = false
					return entry.Show(out, e, time.Now()) == nil
				})
				if flushed := out.Flush(); err == nil {
					err = sysexits.IOErr.With(flushed)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return t.Flags(cmd)
}
