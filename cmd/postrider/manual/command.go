package manual

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
)

// Command is the hidden "postrider man": packages are built with it.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Long:    "Write the manual pages of all commands and of the configuration file into a directory,\nwhich is made if it is not there.",
		Example: "  postrider man /usr/local/share/man/man1",
		Args:    workspace.Exactly(1),
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return sysexits.CantCreate.With(err)
			}
			pages := Pages(cmd.Root())
			for _, name := range slices.Sorted(maps.Keys(pages)) {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(pages[name]), 0o644); err != nil {
					return sysexits.CantCreate.With(err)
				}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d manual pages in %s\n", len(pages), args[0])
			return sysexits.IOErr.With(err)
		},
	}
}
