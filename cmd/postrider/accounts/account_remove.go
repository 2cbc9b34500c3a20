package accounts

import (
	"fmt"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/storage"
)

func accountRemove() *cobra.Command {
	var t workspace.Target
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME[@DOMAIN]...",
		Short: "Delete accounts and their mail",
		Long: `Delete accounts and their mail. It says first how much mail that is, and asks when the
standard input is a terminal. Sessions of the accounts are not waited for; they end
before their next command, and delete nothing.`,
		Example: `  postrider account remove alice
  postrider account remove --yes alice bob`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				accounts, err := announceRemoval(ws, cmd, args)
				if err != nil {
					return err
				}
				if !yes {
					if err := workspace.Confirm(cmd, fmt.Sprintf("Delete %d accounts and their mail for good?", len(accounts))); err != nil {
						return err
					}
				}
				for _, a := range accounts {
					if err := removeAccount(ws, cmd, a); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return t.Flags(cmd)
}

// announceRemoval finds the accounts, each once, and says what each has.
func announceRemoval(ws *workspace.Workspace, cmd *cobra.Command, names []string) (accounts []storage.Account, err error) {
	seen := make(map[storage.AccountID]bool)
	for _, name := range names {
		a, err := ws.AccountNamed(name)
		if err != nil {
			return nil, err
		}
		if seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		messages, octets, err := ws.Usage(a.ID)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s has %d messages, %d octets\n", workspace.Mailbox(a), messages, octets)
		accounts = append(accounts, a)
	}
	return accounts, nil
}

func removeAccount(ws *workspace.Workspace, cmd *cobra.Command, a storage.Account) error {
	if err := ws.RemoveAccount(a.ID); err != nil {
		return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", workspace.Mailbox(a))
	words, err := stillNamed(ws, func(local, domain string) bool { return local == a.Name && domain == a.Domain },
		"mail to the alias is returned to the sender for it, unless an alias or a catch-all has the name; use \"postrider alias add\" to make the alias without it")
	if err != nil {
		return err
	}
	warn(cmd, words)
	return nil
}
