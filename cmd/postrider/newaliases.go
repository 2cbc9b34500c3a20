package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"postrider/cmd/sysexits"
)

// systemAliases is where other programs keep aliases.
const systemAliases = "/etc/aliases"

func newaliasesCommand() *cobra.Command {
	var t target
	cmd := &cobra.Command{
		Use:   "newaliases",
		Short: "Take over /etc/aliases; the program answers to the name newaliases too",
		Long: `Take over the aliases of /etc/aliases, as "alias import /etc/aliases" does: packages
call newaliases when they have changed that file. Aliases are kept in the store: one
that is not in the file, or no longer, stays as it is ("alias list", "alias remove").
Without the file there is nothing to do.`,
		Example: "  newaliases\n  postrider newaliases --data /var/lib/postrider",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.file == "" {
				t.file = systemConfig()
			}
			return takeSystemAliases(cmd, &t)
		},
	}
	return t.flags(cmd)
}

// takeSystemAliases imports the aliases of the system, if it has any.
func takeSystemAliases(cmd *cobra.Command, t *target) error {
	return takeAliases(cmd, t, systemAliases)
}

// takeAliases imports the aliases of a file, if it is there.
func takeAliases(cmd *cobra.Command, t *target, path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "there is no %s: aliases are kept in the store (\"postrider alias add\", \"postrider alias list\")\n", path)
		return sysexits.IOErr.With(err)
	}
	return importAliases(cmd, t, path)
}
