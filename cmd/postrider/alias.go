package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"postrider/engine/router"
	"postrider/storage"
)

func aliasCommand() *cobra.Command {
	return group("alias", "Add, list and remove aliases", aliasAdd(), aliasImport(), aliasList(), aliasRemove())
}

func aliasAdd() *cobra.Command {
	var t target
	return t.flags(&cobra.Command{
		Use:   "add FROM TO...",
		Short: "Make an address stand for others",
		Long: `Make the address FROM stand for the addresses TO, accounts or other aliases here,
in place of what it stood for. FROM may be @DOMAIN, the catch-all: it gets the
mail of every name in the domain that nothing else has.`,
		Example: `  postrider alias add sales alice bob@example.org
  postrider alias add @example.org alice`,
		Args: atLeast(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.with(cmd.Context(), create, func(d *desk) error {
				a, err := d.newAlias(args[0], args[1:])
				if err != nil {
					return err
				}
				if err := d.setAliases([]storage.Alias{a}); err != nil {
					return aliasError(a, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", aliasName(a), strings.Join(a.Targets, ", "))
				return nil
			})
		},
	})
}

// setAliases stores aliases. The postmaster that "serve" made, so that there always
// is one, gives way to an alias of the name.
func (d *desk) setAliases(as []storage.Alias) error {
	for _, a := range as {
		found, err := d.Lookup(a.Name, a.Domain)
		if err != nil || !d.isStandIn(found.Account) {
			continue
		}
		if err := d.RemoveAccount(found.Account); err != nil {
			return err
		}
	}
	return d.SetAliases(as)
}

// isStandIn says whether the account is a postmaster that nobody can log in as and
// that has no mail.
func (d *desk) isStandIn(id storage.AccountID) bool {
	a, err := d.Account(id)
	if err != nil || a.Name != "postmaster" || a.Hash != "" || a.Secret != "" {
		return false
	}
	messages, _, err := d.Usage(id)
	return err == nil && messages == 0
}

func aliasError(a storage.Alias, err error) error {
	if errors.Is(err, storage.ErrExists) {
		return exit(exCantCreate, fmt.Errorf("%s is an account: remove that first, with its mail, or choose another name", aliasName(a)))
	}
	return fmt.Errorf("%s: %w", aliasName(a), err)
}

// aliasName writes the address of an alias; a catch-all is @DOMAIN.
func aliasName(a storage.Alias) string {
	if a.Name == "" {
		return "@" + a.Domain
	}
	return router.Mailbox(a.Name, a.Domain)
}

// newAlias reads an alias as it was written by hand.
func (d *desk) newAlias(from string, to []string) (storage.Alias, error) {
	local, domain, err := router.ParseAddress(from, d.cfg.DefaultDomain())
	if err != nil {
		return storage.Alias{}, exit(exUsage, err)
	}
	if !d.HostsDomain(domain) {
		return storage.Alias{}, exit(exNoUser, fmt.Errorf("the domain %s is not ours: \"postrider domain add %s\" makes it so", domain, domain))
	}
	a := storage.Alias{Name: local, Domain: domain}
	for _, text := range to {
		target, err := d.aliasTarget(text)
		if err != nil {
			return storage.Alias{}, err
		}
		if !slices.Contains(a.Targets, target) {
			a.Targets = append(a.Targets, target)
		}
	}
	return a, nil
}

// aliasTarget checks one target: an address, here or elsewhere.
func (d *desk) aliasTarget(text string) (string, error) {
	local, domain, err := d.name(text)
	if err != nil {
		return "", err
	}
	return router.Mailbox(local, domain), nil
}

func aliasRemove() *cobra.Command {
	var t target
	return t.flags(&cobra.Command{
		Use:     "remove FROM...",
		Short:   "Remove aliases",
		Example: "  postrider alias remove sales @example.org",
		Args:    atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.with(cmd.Context(), mustExist, func(d *desk) error {
				for _, arg := range args {
					local, domain, err := router.ParseAddress(arg, d.cfg.DefaultDomain())
					if err != nil {
						return exit(exUsage, err)
					}
					name := aliasName(storage.Alias{Name: local, Domain: domain})
					err = d.RemoveAlias(local, domain)
					if errors.Is(err, storage.ErrNotFound) {
						return exit(exNoUser, fmt.Errorf("there is no alias %s (see \"postrider alias list\")", name))
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
}

func aliasList() *cobra.Command {
	var t target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the aliases, in the form of /etc/aliases",
		Example: "  postrider alias list --json",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.with(cmd.Context(), mustExist, func(d *desk) error {
				lines := []aliasLine{}
				err := d.Aliases(func(a storage.Alias) bool {
					lines = append(lines, aliasLine{aliasName(a), a.Targets})
					return true
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), lines)
				}
				for _, l := range lines {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", l.Address, strings.Join(l.Targets, ", "))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.flags(cmd)
}
