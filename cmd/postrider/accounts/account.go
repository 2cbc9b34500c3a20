package accounts

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"postrider/cmd/postrider/workspace"
	"postrider/engine/admit/password"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// AccountCommand is "postrider account".
func AccountCommand() *cobra.Command {
	return workspace.Group("account", "Add, list and remove accounts",
		accountAdd(), accountImport(), accountList(), accountPasswd(), accountRemove())
}

func accountAdd() *cobra.Command {
	var t workspace.Target
	var fromStdin, apop bool
	cmd := &cobra.Command{
		Use:   "add NAME[@DOMAIN]",
		Short: "Make an account",
		Long: `Make an account: a maildrop with a name and a password. Without @DOMAIN it is
made in the default domain; its owner logs in with the whole address, or in the
default domain with the name alone.`,
		Example: `  postrider account add alice
  echo secret | postrider account add alice@example.org --password-stdin`,
		Args: workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.Create, func(ws *workspace.Workspace) error {
				local, domain, err := ws.ParseName(args[0])
				if err != nil {
					return err
				}
				if err := (directory{ws}).Free(local, domain); err != nil {
					return err
				}
				word, err := workspace.ReadPassword(cmd, fromStdin, router.Mailbox(local, domain))
				if err != nil {
					return err
				}
				hash, err := password.Hash(word, ws.Config.HashCost())
				if err != nil {
					return err
				}
				a := storage.NewAccount{Name: local, Domain: domain, Hash: hash}
				if apop {
					a.Secret = string(word)
				}
				if _, err := ws.AddAccount(a); err != nil {
					return fmt.Errorf("%s: %w", router.Mailbox(local, domain), err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "added %s\n", router.Mailbox(local, domain))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	cmd.Flags().BoolVar(&apop, "apop", false, "allow APOP: the password is also stored in clear text")
	return t.FlagsWithCreate(cmd)
}

func accountPasswd() *cobra.Command {
	var t workspace.Target
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "passwd NAME[@DOMAIN]",
		Short: "Change the password of an account",
		Long: `Change the password of an account. It then works with PLAIN, LOGIN and
SCRAM-SHA-256, also if the account was imported with another server's hash,
and with APOP and CRAM-MD5 if the account was made with --apop. Open sessions of the
account end before their next command.`,
		Example: "  postrider account passwd alice",
		Args:    workspace.Exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				a, err := ws.AccountNamed(args[0])
				if err != nil {
					return err
				}
				word, err := workspace.ReadPassword(cmd, fromStdin, workspace.Mailbox(a))
				if err != nil {
					return err
				}
				hash, err := password.Hash(word, ws.Config.HashCost())
				if err != nil {
					return err
				}
				secret := ""
				if a.Secret != "" { // it may log in by APOP, and goes on to
					secret = string(word)
				}
				if err := ws.SetPassword(a.ID, hash, secret); err != nil {
					return fmt.Errorf("%s: %w", workspace.Mailbox(a), err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "changed the password of %s\n", workspace.Mailbox(a))
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from the standard input, one line")
	return t.Flags(cmd)
}

func accountRemove() *cobra.Command {
	var t workspace.Target
	cmd := &cobra.Command{
		Use:   "remove NAME[@DOMAIN]...",
		Short: "Delete accounts and their mail",
		Long: `Delete accounts and their mail. Sessions of the accounts are not waited for; they end
before their next command, and delete nothing.`,
		Example: "  postrider account remove alice",
		Args:    workspace.AtLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				for _, name := range args {
					a, err := ws.AccountNamed(name)
					if err != nil {
						return err
					}
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
				}
				return nil
			})
		},
	}
	return t.Flags(cmd)
}

// accountLine is an account in a listing.
type accountLine struct {
	Address  string    `json:"address"`
	Name     string    `json:"name"`
	Domain   string    `json:"domain"`
	Messages int64     `json:"messages"`
	Octets   int64     `json:"octets"`
	Quota    int64     `json:"quota,omitempty"`
	Login    bool      `json:"login"` // has a password
	APOP     bool      `json:"apop"`
	Created  time.Time `json:"created"`
}

func accountList() *cobra.Command {
	var t workspace.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts, with their messages and octets",
		Example: "  postrider account list --json",
		Args:    workspace.Exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.With(cmd.Context(), workspace.MustExist, func(ws *workspace.Workspace) error {
				lines, err := accountLines(ws)
				if err != nil {
					return err
				}
				if asJSON {
					return workspace.PrintJSON(cmd.OutOrStdout(), lines)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "ADDRESS\tMESSAGES\tOCTETS\tLOGIN\tCREATED")
				for _, l := range lines {
					fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", l.Address, l.Messages, l.Octets, l.loginWord(), l.Created.Local().Format(time.DateTime))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return t.Flags(cmd)
}

func (l accountLine) loginWord() string {
	switch {
	case l.APOP:
		return "password, apop"
	case l.Login:
		return "password"
	}
	return "no"
}

func accountLines(ws *workspace.Workspace) ([]accountLine, error) {
	lines := []accountLine{}
	var ids []storage.AccountID
	err := ws.Accounts(func(a storage.Account) bool {
		ids = append(ids, a.ID)
		lines = append(lines, accountLine{
			Address: workspace.Mailbox(a), Name: a.Name, Domain: a.Domain, Quota: a.Quota,
			Login: a.Hash != "", APOP: a.Secret != "", Created: a.Created,
		})
		return true
	})
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		lines[i].Messages, lines[i].Octets, err = ws.Usage(id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // removed meanwhile
			return nil, fmt.Errorf("%s: %w", lines[i].Address, err)
		}
	}
	return lines, nil
}
