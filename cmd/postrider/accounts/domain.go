package accounts

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/address"
	"postrider/storage"
)

// DomainCommand is "postrider domain".
func DomainCommand() *cobra.Command {
	return workspace.Group("domain", "Add, list and remove domains that mail is taken for", domainAdd(), domainList(), domainRemove())
}

func domainAdd() *cobra.Command {
	var t workspace.Target
	return t.FlagsWithCreate(&cobra.Command{
		Use:     "add DOMAIN...",
		Short:   "Take mail for domains",
		Example: "  postrider domain add example.org",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				for _, arg := range args {
					domain, err := address.ParseDomain(arg)
					if err != nil {
						return sysexits.Usage.With(err)
					}
					if err := ws.AddDomain(domain); err != nil {
						return fmt.Errorf("%s: %w", domain, err)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "added %s\n", domain)
				}
				return nil
			})
		},
	})
}

func domainRemove() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:     "remove DOMAIN...",
		Short:   "Take no more mail for domains",
		Long:    "Take no more mail for domains. Remove their accounts and aliases first.",
		Example: "  postrider domain remove example.org",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, arg := range args {
					domain, err := address.ParseDomain(arg)
					if err != nil {
						return sysexits.Usage.With(err)
					}
					if err := removeDomain(ws, domain); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", domain)
					words, err := stillNamed(ws, func(_, of string) bool { return of == domain },
						"the alias sends mail on to the hosts of "+domain+" now; use \"postrider alias add\" to make it without the address")
					if err != nil {
						return err
					}
					warn(cmd, words)
				}
				return nil
			})
		},
	})
}

func removeDomain(ws *workspace.Workspace, domain string) error {
	if slices.Contains(ws.Config.Server.Domains, domain) {
		return sysexits.Config.With(fmt.Errorf("%s is in server.domains of the configuration, which would add it again: remove it there first", domain))
	}
	err := ws.RemoveDomain(domain)
	switch {
	case errors.Is(err, storage.ErrInUse):
		return sysexits.CantCreate.With(fmt.Errorf("%s still has accounts or aliases: remove them first (\"postrider account list\", \"postrider alias list\")", domain))
	case errors.Is(err, storage.ErrNotFound):
		return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours (see \"postrider domain list\")", domain))
	case err != nil:
		return fmt.Errorf("%s: %w", domain, err)
	}
	return nil
}

func domainList() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the domains that mail is taken for",
		Example: "  postrider domain list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				domains := slices.Sorted(slices.Values(ws.Domains()))
				if asJSON {
					return workspace.PrintJSON(cmd.OutOrStdout(), append([]string{}, domains...))
				}
				for _, domain := range domains {
					fmt.Fprintln(cmd.OutOrStdout(), domain)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}
