package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/mail/router"
	"postrider/storage"
)

func accountUndelete() *cobra.Command {
	var t workspace.Target
	var as string
	var number uint32
	cmd := &cobra.Command{
		Use:   "undelete NAME[@DOMAIN]",
		Short: "Bring a removed account back, with its mail",
		Long: `Bring a removed account back, with its mail, its password and its limits. That is possible
for storage.keep_removed after "account remove"; "account list --removed" shows until when.
Where another account or an alias has the name by now, --as gives it another one. If several
removed accounts had the name it is the last one, unless --number says otherwise. A name in a
domain that is a domain alias by now is that of an account of the former domain; where none is
kept, it is the name in the domain that the alias leads to.`,
		Example: `  postrider account undelete jdoe
  postrider account undelete jdoe --as jdoe.old
  postrider account undelete jdoe@gone.example --as jdoe@example.org --number 12`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := removedOne(ws, args[0], storage.AccountID(number))
				if err != nil {
					return err
				}
				if as != "" {
					if a.Name, a.Domain, err = ws.ParseName(as); err != nil {
						return err
					}
				}
				return undeleteAccount(ws, cmd, a)
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "the name that it gets: NAME[@DOMAIN]")
	cmd.Flags().Uint32Var(&number, "number", 0, "the number of the account in \"account list --removed\"")
	return t.Flags(cmd)
}

// undeleteAccount brings a removed account back under the name that a has.
func undeleteAccount(ws *workspace.Workspace, cmd *cobra.Command, a storage.RemovedAccount) error {
	if target := ws.DomainAlias(a.Domain); target != "" {
		return sysexits.CantCreate.With(fmt.Errorf("the domain %s is an alias of %s now: give the account another name with --as", a.Domain, target))
	}
	if err := (directory{ws, nil, nil}).mayMake(a.Name, a.Domain); err != nil {
		return fmt.Errorf("%w; or give it another name with --as", err)
	}
	if err := ws.RestoreAccount(a.ID, a.Name, a.Domain); err != nil {
		return fmt.Errorf("%s: %w", workspace.Mailbox(a.Account), err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is back with %d messages, %d octets\n", workspace.Mailbox(a.Account), a.Holds.Messages, a.Holds.Octets)
	return nil
}

// removedOne is the removed account that has a number, or the last one of a name if the number
// is 0.
func removedOne(ws *workspace.Workspace, name string, number storage.AccountID) (storage.RemovedAccount, error) {
	asWritten, aliased, err := removedNamed(ws, name)
	if err != nil {
		return storage.RemovedAccount{}, err
	}
	found := slices.Concat(asWritten, aliased)
	if number != 0 {
		found = slices.DeleteFunc(found, func(a storage.RemovedAccount) bool { return a.ID != number })
	}
	if len(found) == 0 {
		return storage.RemovedAccount{}, sysexits.NoUser.With(fmt.Errorf("no removed account %s is kept%s (see \"postrider account list --removed\")", name, withNumber(number)))
	}
	return found[0], nil
}

// withNumber is a number as text in an error.
func withNumber(number storage.AccountID) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf(" with the number %d", number)
}

// removedNamed are the removed accounts that had a name as it is written, and the removed
// accounts of the name that a domain alias makes of it, the last ones first. The domain may have been removed
// with the accounts, and be an alias now.
func removedNamed(ws *workspace.Workspace, name string) (asWritten, aliased []storage.RemovedAccount, err error) {
	local, domain, err := workspace.ParseName(name, ws.Config.DefaultDomain())
	if err != nil {
		return nil, nil, err
	}
	target := ws.DomainAlias(domain)
	err = ws.RemovedAccounts(func(a storage.RemovedAccount) bool {
		switch {
		case a.Name != local:
		case a.Domain == domain:
			asWritten = append(asWritten, a)
		case target != "" && a.Domain == target:
			aliased = append(aliased, a)
		}
		return true
	})
	for _, found := range [][]storage.RemovedAccount{asWritten, aliased} {
		slices.SortFunc(found, func(a, b storage.RemovedAccount) int { return b.Removed.Compare(a.Removed) })
	}
	return asWritten, aliased, err
}

// removedLine is a removed account in a listing.
type removedLine struct {
	Number   storage.AccountID `json:"number"`
	Address  string            `json:"address"`
	Messages int64             `json:"messages"`
	Octets   int64             `json:"octets"`
	Removed  time.Time         `json:"removed"`
	Until    time.Time         `json:"until"`
}

// listRemoved lists the removed accounts that the filter lets through.
func listRemoved(ws *workspace.Workspace, cmd *cobra.Command, f *listFilter, asJSON bool) error {
	lines := []removedLine{}
	err := ws.RemovedAccounts(func(a storage.RemovedAccount) bool {
		if f.lets(&a.Account) {
			lines = append(lines, removedLine{a.ID, workspace.Mailbox(a.Account), a.Holds.Messages, a.Holds.Octets, a.Removed, a.Until})
		}
		return true
	})
	if err != nil {
		return err
	}
	slices.SortFunc(lines, func(a, b removedLine) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), a.Removed.Compare(b.Removed))
	})
	if asJSON {
		return workspace.PrintJSON(cmd.OutOrStdout(), lines)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tADDRESS\tMESSAGES\tOCTETS\tREMOVED\tKEPT UNTIL")
	for _, l := range lines {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%s\t%s\n", l.Number, l.Address, l.Messages, l.Octets, l.Removed.Local().Format(time.DateTime), l.Until.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// keptUntil is until when a removed account is kept; not kept: it is gone.
func keptUntil(ws *workspace.Workspace, id storage.AccountID) (until time.Time, kept bool, err error) {
	err = ws.RemovedAccounts(func(a storage.RemovedAccount) bool {
		if kept = a.ID == id; kept {
			until = a.Until
		}
		return !kept
	})
	return until, kept, err
}

// purgeRemoved deletes removed accounts.
func purgeRemoved(ws *workspace.Workspace, cmd *cobra.Command, found []storage.RemovedAccount, yes bool) error {
	if len(found) == 0 {
		return nil
	}
	for _, a := range found {
		fmt.Fprintf(cmd.ErrOrStderr(), "the removed account %s has %d messages, %d octets\n", router.Mailbox(a.Name, a.Domain), a.Holds.Messages, a.Holds.Octets)
	}
	if !yes {
		if err := workspace.Confirm(cmd, fmt.Sprintf("Delete %d removed accounts and their mail for good?", len(found))); err != nil {
			return err
		}
	}
	for _, a := range found {
		if err := ws.PurgeAccount(a.ID); err != nil && !errors.Is(err, storage.ErrNotFound) { // it was purged meanwhile
			return fmt.Errorf("%s: %w", workspace.Mailbox(a.Account), err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "deleted the removed account %s for good\n", workspace.Mailbox(a.Account))
	}
	return nil
}
