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
	return workspace.Group("domain", "Add, list, change and remove domains that mail is taken for", domainAdd(), domainAlias(), domainList(), domainQuota(), domainRemove())
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
		return sysexits.CantCreate.With(fmt.Errorf("%s still has accounts, aliases or domain aliases: remove them first (\"postrider account list\", \"postrider alias list\", \"postrider domain list\")", domain))
	case errors.Is(err, storage.ErrNotFound):
		return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours (see \"postrider domain list\")", domain))
	case err != nil:
		return fmt.Errorf("%s: %w", domain, err)
	}
	return nil
}

func domainAlias() *cobra.Command {
	var t workspace.Target
	return t.Flags(&cobra.Command{
		Use:   "alias NEW OLD",
		Short: "Make a domain another name of one of ours",
		Long: `Make the domain NEW an alias of OLD, a domain of ours: each address in NEW is the address of
the same name in OLD, for mail, for logins and as a sender. "domain remove NEW" undoes it.`,
		Example: "  postrider domain alias new.example old.example",
		Args:    workspace.Exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				alias, err := address.ParseDomain(args[0])
				if err != nil {
					return sysexits.Usage.With(err)
				}
				of, err := address.ParseDomain(args[1])
				if err != nil {
					return sysexits.Usage.With(err)
				}
				if at := ws.DomainAlias(of); at != "" {
					return sysexits.DataErr.With(fmt.Errorf("%s is an alias itself, of %s: use that", of, at))
				}
				err = ws.AddDomainAlias(alias, of)
				switch {
				case errors.Is(err, storage.ErrExists) && ws.DomainAlias(alias) != "":
					return sysexits.CantCreate.With(fmt.Errorf("%s is an alias of %s already: \"postrider domain remove %s\" first", alias, ws.DomainAlias(alias), alias))
				case errors.Is(err, storage.ErrExists):
					return sysexits.CantCreate.With(fmt.Errorf("%s is a domain of its own: move its accounts and aliases, and \"postrider domain remove %s\" first", alias, alias))
				case errors.Is(err, storage.ErrNotFound):
					return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours (see \"postrider domain list\")", of))
				case err != nil:
					return fmt.Errorf("%s: %w", alias, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is an alias of %s\n", alias, of)
				return nil
			})
		},
	})
}

func domainQuota() *cobra.Command {
	var t workspace.Target
	var q quotaFlags
	cmd := &cobra.Command{
		Use:   "quota DOMAIN...",
		Short: "Show or set how much the maildrops of domains may hold together",
		Long: `Show or set how much all maildrops of a domain may hold together, in octets and in messages,
besides the quotas of the accounts. At 80 % the postmaster of the domain gets a mail.`,
		Example: `  postrider domain quota example.org
  postrider domain quota example.org --quota 100GiB`,
		Args: workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, arg := range args {
					if err := quotaOfDomain(ws, cmd, arg, &q); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	q.add(cmd)
	return t.Flags(cmd)
}

// quotaOfDomain sets the quota of one domain, if a flag is given, and shows it.
func quotaOfDomain(ws *workspace.Workspace, cmd *cobra.Command, arg string, q *quotaFlags) error {
	name, err := address.ParseDomain(arg)
	if err != nil {
		return sysexits.Usage.With(err)
	}
	all := ws.DomainSettings()
	i := slices.IndexFunc(all, func(d storage.Domain) bool { return d.Name == name })
	switch {
	case i < 0:
		return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours (see \"postrider domain list\")", name))
	case all[i].AliasOf != "":
		return sysexits.DataErr.With(fmt.Errorf("%s is an alias of %s: the quota is that of %s", name, all[i].AliasOf, all[i].AliasOf))
	}
	d := all[i]
	if q.given() {
		if d.Quota.Octets, d.Quota.Messages, err = q.values(d.Quota.Octets, d.Quota.Messages); err != nil {
			return err
		}
		if err := ws.SetDomainQuota(name, d.Quota); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	lines, err := accountLines(ws, &listFilter{domain: name})
	if err != nil {
		return err
	}
	var used storage.Quota
	for _, l := range lines {
		used.Octets += l.Octets
		used.Messages += l.Messages
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\n", name, usedOf(used.Octets, d.Quota.Octets, "octets"), usedOf(used.Messages, d.Quota.Messages, "messages"))
	return nil
}

// domainLine is a domain in a listing.
type domainLine struct {
	Domain      string `json:"domain"`
	AliasOf     string `json:"alias_of,omitempty"`
	Quota       int64  `json:"quota,omitempty"`
	MaxMessages int64  `json:"max_messages,omitempty"`
}

func domainList() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the domains that mail is taken for, and their aliases",
		Example: "  postrider domain list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				lines := []domainLine{}
				for _, d := range ws.DomainSettings() {
					lines = append(lines, domainLine{d.Name, d.AliasOf, d.Quota.Octets, d.Quota.Messages})
				}
				if asJSON {
					return workspace.PrintJSON(cmd.OutOrStdout(), lines)
				}
				for _, l := range lines {
					if l.AliasOf != "" {
						l.Domain += " (alias of " + l.AliasOf + ")"
					}
					fmt.Fprintln(cmd.OutOrStdout(), l.Domain)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}
