package accounts

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/accounts/aliasfile"
	"postrider/cmd/postrider/workspace"
)

func aliasImport() *cobra.Command {
	var t workspace.Target
	return t.FlagsWithCreate(&cobra.Command{
		Use:   "import FILE|-",
		Short: "Make aliases from a file in the form of /etc/aliases",
		Long: `Make aliases from lines "name: target, target". Lines that begin with a blank
continue the one before; # begins a comment. Commands ("|cmd"), files (/file),
and ":include:" are skipped and reported with their line; so is an alias without
other targets, a second one with the same name, and one with the name of an account,
unless the account is among its targets, to keep a copy ("bob: \bob, bob@example.net").
All aliases are made in one step; if a line can't be read none is made. Addresses that
do not exist, and aliases that lead in a circle, give a warning.`,
		Example: "  postrider alias import /etc/aliases",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return importAliases(cmd, &t, args[0])
		},
	})
}

// importAliases makes the aliases of a file; "-" is the standard input.
func importAliases(cmd *cobra.Command, t *workspace.Target, path string) error {
	return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
		in, err := openInput(cmd, path)
		if err != nil {
			return err
		}
		defer in.Close()
		aliases, skipped, err := aliasfile.Read(in, path, directory{ws, nil, nil})
		if err != nil {
			return err
		}
		if err := setAliases(ws, aliases); err != nil {
			return fmt.Errorf("nothing was added: %w", err)
		}
		for _, s := range skipped {
			fmt.Fprintf(cmd.ErrOrStderr(), "skipped: %v\n", s)
		}
		all, err := workspace.NewRoster(ws)
		if err != nil {
			return err
		}
		for _, a := range aliases {
			warn(cmd, workspace.DeadWords(a, all.Router.Dead(a)))
		}
		fmt.Fprintf(cmd.OutOrStdout(), "added %d aliases\n", len(aliases))
		return nil
	})
}
