package mail

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/client"
)

func deleteCommand() *cobra.Command {
	var c correspondent
	cmd := &cobra.Command{
		Use:   "delete MESSAGE...",
		Short: "Delete messages at the server",
		Long: `Delete messages at the server: all that are named, or none. Numbers may have
changed since they were listed, if another client reads the same maildrop: use --uid
in scripts.`,
		Example: `  postrider mail delete 3 5-7
  postrider mail delete --uid 0000000000ABC`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 0
			err := c.session(cmd.Context(), func(p *client.POP3) error {
				items, err := c.chosen(p, args)
				if err != nil {
					return err
				}
				n = len(items)
				return deleteAll(p, items)
			})
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "deleted %d messages\n", n)
			}
			return err
		},
	}
	return c.selecting(cmd)
}

func deleteAll(p *client.POP3, items []client.Item) error {
	for _, it := range items {
		if err := p.Delete(it.Number); err != nil {
			return fmt.Errorf("message %d: %w; nothing is deleted", it.Number, err)
		}
	}
	return nil
}
