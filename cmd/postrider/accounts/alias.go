package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// AliasCommand is "postrider alias".
func AliasCommand() *cobra.Command {
	return workspace.Group("alias", "Add, list and remove aliases", aliasAdd(), aliasImport(), aliasList(), aliasRemove())
}

func aliasAdd() *cobra.Command {
	var t workspace.Target
	return t.FlagsWithCreate(&cobra.Command{
		Use:   "add FROM TO...",
		Short: "Forward an address to others",
		Long: `Make the address FROM an alias for the addresses TO, accounts or other aliases here,
or addresses elsewhere. It replaces an older alias with that name. FROM may be @DOMAIN,
the catch-all: it gets the mail for every name in the domain that is neither an account
nor an alias. An account may have an alias with its name if the alias names the account:
then it keeps a copy. The case of names at other hosts is kept. Addresses that do not
exist give a warning.`,
		Example: `  postrider alias add sales alice bob@example.org
  postrider alias add bob bob bob.smith@example.net
  postrider alias add @example.org alice`,
		Args: workspace.AtLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				a, err := newAlias(ws, args[0], args[1:])
				if err != nil {
					return err
				}
				if err := setAliases(ws, []storage.Alias{a}); err != nil {
					return aliasError(a, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", workspace.AliasName(a), strings.Join(a.Targets, ", "))
				warn(cmd, workspace.DeadWords(a, ws.Router.Dead(a)))
				return nil
			})
		},
	})
}

// setAliases stores aliases. The postmaster that "serve" made, so that there always
// is one, gives way to an alias of the name.
func setAliases(ws *workspace.Workspace, as []storage.Alias) error {
	for _, a := range as {
		found, err := ws.Lookup(a.Name, a.Domain)
		if err != nil || a.NamesItself() || !isPlaceholder(ws, found.Account) {
			continue
		}
		if err := ws.PurgeAccount(found.Account); err != nil {
			return err
		}
	}
	return ws.SetAliases(as)
}

// isPlaceholder reports whether the account is the postmaster that serve made: without a
// password, and without mail.
func isPlaceholder(ws *workspace.Workspace, id storage.AccountID) bool {
	a, err := ws.Account(id)
	if err != nil || a.Name != "postmaster" || a.Hash != "" || a.Secret != "" {
		return false
	}
	messages, _, err := ws.Usage(id)
	return err == nil && messages == 0
}

func aliasError(a storage.Alias, err error) error {
	if errors.Is(err, storage.ErrExists) {
		return sysexits.CantCreate.With(fmt.Errorf("%s is an account: add it to the targets, to keep a copy there; or remove it first, with its mail; or choose another name", workspace.AliasName(a)))
	}
	return fmt.Errorf("%s: %w", workspace.AliasName(a), err)
}

// newAlias reads an alias as it was written by hand.
func newAlias(ws *workspace.Workspace, from string, to []string) (storage.Alias, error) {
	d := directory{ws, nil, nil}
	a, err := d.Alias(from)
	if err != nil {
		return a, err
	}
	for _, text := range to {
		target, err := d.Target(text)
		if err != nil {
			return storage.Alias{}, err
		}
		if !slices.Contains(a.Targets, target) {
			a.Targets = append(a.Targets, target)
		}
	}
	return a, nil
}

func aliasRemove() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:     "remove FROM...",
		Short:   "Remove aliases",
		Example: "  postrider alias remove sales @example.org",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, arg := range args {
					local, domain, err := router.ParseAddress(arg, ws.Config.DefaultDomain())
					if err != nil {
						return sysexits.Usage.With(err)
					}
					name := workspace.AliasName(storage.Alias{Name: local, Domain: domain})
					err = ws.RemoveAlias(local, domain)
					if errors.Is(err, storage.ErrNotFound) {
						return sysexits.NoUser.With(fmt.Errorf("no alias %s (see \"postrider alias list\")", name))
					}
					if err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", name)
				}
				return nil
			})
		},
	})
}

// aliasLine is an alias in a listing.
type aliasLine struct {
	Address string   `json:"address"`
	Targets []string `json:"targets"`
	Dead    []string `json:"dead,omitempty"` // what of it leads to no mailbox, in words
}

func aliasList() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the aliases, in the form of /etc/aliases",
		Long:    "List the aliases, in the form of /etc/aliases. Comments mark members that lead to no\nmailbox. Stores before format 3 kept all targets in lower case: make an alias again\nif a host elsewhere needs the case of its names.",
		Example: "  postrider alias list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				all, err := workspace.NewRoster(ws)
				if err != nil {
					return err
				}
				lines := []aliasLine{}
				for _, a := range all.List {
					lines = append(lines, aliasLine{workspace.AliasName(a), a.Targets, workspace.DeadWords(a, all.Router.Dead(a))})
				}
				if asJSON {
					return workspace.PrintJSON(cmd.OutOrStdout(), lines)
				}
				for _, l := range lines {
					for _, words := range l.Dead {
						fmt.Fprintf(cmd.OutOrStdout(), "# %s\n", words)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", l.Address, strings.Join(l.Targets, ", "))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}
