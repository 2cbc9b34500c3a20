package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
)

// systemAliases is where other programs keep aliases.
const systemAliases = "/etc/aliases"

// NewaliasesCommand is "postrider newaliases".
func NewaliasesCommand() *cobra.Command {
	var t workspace.Target
	cmd := &cobra.Command{
		Use:   "newaliases",
		Short: "Import /etc/aliases; also runs under the name newaliases",
		Long: `Import the aliases of /etc/aliases, as "alias import /etc/aliases" does: packages
call newaliases when they have changed that file. Aliases are kept in the store: one
that is not in the file, or no longer, stays as it is ("alias list", "alias remove").
Without the file nothing is done.`,
		Example: "  newaliases\n  postrider newaliases --data /var/lib/postrider",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.File == "" {
				t.File = workspace.SystemConfig()
			}
			return TakeSystemAliases(cmd, &t)
		},
	}
	return t.Flags(cmd)
}

// TakeSystemAliases imports the aliases of the system, if it has any.
func TakeSystemAliases(cmd *cobra.Command, t *workspace.Target) error {
	return takeAliases(cmd, t, systemAliases)
}

// takeAliases imports the aliases of a file, if it is there.
func takeAliases(cmd *cobra.Command, t *workspace.Target, path string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "no %s: aliases are kept in the store (\"postrider alias add\", \"postrider alias list\")\n", path)
		return sysexits.IOErr.With(err)
	}
	return importAliases(cmd, t, path)
}
