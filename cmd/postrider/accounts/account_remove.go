package accounts

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/storage"
)

func accountRemove() *cobra.Command {
	var t workspace.Target
	var yes, now bool
	cmd := &cobra.Command{
		Use:   "remove NAME[@DOMAIN]...",
		Short: "Remove accounts with their mail",
		Long: `Remove accounts with their mail. It says first how much mail that is, and asks when the
standard input is a terminal. Mail for them is refused from then on. Sessions of the accounts
are not waited for; they end before their next command, and delete nothing.

For storage.keep_removed "account undelete" brings an account back; then it is deleted. With
--now it is deleted for good at once, and so are accounts of the name that were removed before.`,
		Example: `  postrider account remove alice
  postrider account remove --yes alice bob
  postrider account remove --now alice`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				if now {
					return removeForGood(ws, cmd, args, yes)
				}
				accounts, err := announceRemoval(ws, cmd, args)
				if err != nil {
					return err
				}
				return removeAccounts(ws, cmd, accounts, yes, ws.Config.Storage.KeepRemoved > 0)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&now, "now", false, "delete for good at once: nothing brings it back")
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

// removeAccounts removes accounts. keep: they can be undeleted.
func removeAccounts(ws *workspace.Workspace, cmd *cobra.Command, accounts []storage.Account, yes, keep bool) error {
	if question := "Delete %d accounts and their mail for good?"; !yes && len(accounts) > 0 {
		if keep {
			question = "Remove %d accounts with their mail?"
		}
		if err := workspace.Confirm(cmd, fmt.Sprintf(question, len(accounts))); err != nil {
			return err
		}
	}
	for _, a := range accounts {
		if err := removeAccount(ws, cmd, a, keep); err != nil {
			return err
		}
	}
	return nil
}

// removeForGood deletes accounts, and removed ones of their names. Where a removed account had a
// name as it is written in a domain that is a domain alias now, the name does not mean the
// account that the alias leads to.
func removeForGood(ws *workspace.Workspace, cmd *cobra.Command, names []string, yes bool) error {
	var live []string
	var gone []storage.RemovedAccount
	for _, name := range names {
		removed, aliased, err := removedNamed(ws, name)
		if err != nil {
			return err
		}
		_, domain, err := workspace.ParseName(name, ws.Config.DefaultDomain())
		if err != nil {
			return err
		}
		if len(removed) == 0 || ws.DomainAlias(domain) == "" {
			removed = append(removed, aliased...)
			if _, err := ws.AccountNamed(name); err == nil {
				live = append(live, name)
			} else if len(removed) == 0 {
				return err
			}
		}
		for _, a := range removed {
			if !slices.ContainsFunc(gone, func(b storage.RemovedAccount) bool { return a.ID == b.ID }) {
				gone = append(gone, a)
			}
		}
	}
	accounts, err := announceRemoval(ws, cmd, live)
	if err != nil {
		return err
	}
	if err := removeAccounts(ws, cmd, accounts, yes, false); err != nil {
		return err
	}
	return purgeRemoved(ws, cmd, gone, yes)
}

func removeAccount(ws *workspace.Workspace, cmd *cobra.Command, a storage.Account, keep bool) error {
	remove := ws.PurgeAccount
	if keep {
		remove = ws.RemoveAccount
	}
	if err := remove(a.ID); err != nil {
		return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
	}
	until, kept, err := keptUntil(ws, a.ID)
	if err != nil {
		return err
	}
	if kept {
		fmt.Fprintf(cmd.OutOrStdout(), "removed %s: until %s \"postrider account undelete %s\" brings it back\n", workspace.Mailbox(a), until.Local().Format(time.DateTime), workspace.Mailbox(a))
	} else {
		fmt.Fprintf(cmd.OutOrStdout(), "removed %s for good\n", workspace.Mailbox(a))
	}
	words, err := stillNamed(ws, func(local, domain string) bool { return local == a.Name && domain == a.Domain },
		"mail to the alias is returned to the sender for it, unless an alias or a catch-all has the name; use \"postrider alias add\" to make the alias without it")
	if err != nil {
		return err
	}
	warn(cmd, words)
	return nil
}
